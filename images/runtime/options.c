/*
 * Options of the guests. The loader may put the image's own path in front of the options (QEMU does): a word
 * counts only when it starts with exactly "name=".
 */
#include "options.h"
#include "runtime.h"

#define COMMAND_LINE_BYTES_MAX 1024

static char line[COMMAND_LINE_BYTES_MAX];

void options_start(const char *command_line)
{
    int length = 0;
    while (command_line[length] != 0 && length < COMMAND_LINE_BYTES_MAX - 1) {
        line[length] = command_line[length];
        length++;
    }
    line[length] = 0;
}

static bool is_end(char character) { return character == 0 || character == ' ' || character == '\t'; }

/* The text after "name=", or null. It ends at a blank or at the end of the line. */
static const char *find(const char *name)
{
    for (const char *word = line; *word != 0;) {
        int length = 0;
        while (name[length] != 0 && word[length] == name[length])
            length++;
        if (name[length] == 0 && word[length] == '=')
            return word + length + 1;
        while (!is_end(*word))
            word++;
        while (*word != 0 && is_end(*word))
            word++;
    }
    return 0;
}

static bool matches(const char *value, const char *word)
{
    while (*word != 0 && *value == *word)
        value++, word++;
    return *word == 0 && is_end(*value);
}

/* Read digits into *number and move the cursor behind them. False: no digit, or more than `highest`. */
static bool parse_number(const char **cursor, uint32_t highest, uint32_t *number)
{
    const char *digit = *cursor;
    uint64_t value = 0;
    for (; *digit >= '0' && *digit <= '9'; digit++) {
        value = value * 10 + (uint32_t)(*digit - '0');
        if (value > highest)
            return false;
    }
    bool any = digit != *cursor;
    *cursor = digit;
    *number = (uint32_t)value;
    return any;
}

uint32_t option_number(const char *name, uint32_t otherwise, uint32_t lowest, uint32_t highest)
{
    const char *value = find(name);
    uint32_t number = 0;
    if (value == 0)
        return otherwise;
    if (!parse_number(&value, highest, &number) || !is_end(*value) || number < lowest)
        fail(EXIT_NEEDS, "option %s: a number from %u to %u, please", name, lowest, highest);
    return number;
}

bool option_switch(const char *name, bool otherwise)
{
    const char *value = find(name);
    if (value == 0)
        return otherwise;
    if (matches(value, "on") || matches(value, "yes") || matches(value, "1"))
        return true;
    if (!matches(value, "off") && !matches(value, "no") && !matches(value, "0"))
        fail(EXIT_NEEDS, "option %s: on or off, please", name);
    return false;
}

uint32_t option_address(const char *name, uint32_t otherwise)
{
    const char *value = find(name);
    uint32_t address = 0, part = 0;
    if (value == 0)
        return otherwise;
    for (int i = 0; i < 4; i++) {
        bool separated = i == 0 || *value++ == '.';
        if (!separated || !parse_number(&value, 255, &part))
            fail(EXIT_NEEDS, "option %s: an address such as 10.86.0.2, please", name);
        address = address << 8 | part;
    }
    if (!is_end(*value))
        fail(EXIT_NEEDS, "option %s: an address such as 10.86.0.2, please", name);
    return address;
}
