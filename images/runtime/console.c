/*
 * COM1 by polling: wait until the line status register says that the holding register is empty, then write.
 *
 * The wait is bounded by nothing: a UART that never empties means that there is no console at all, and then
 * LSR reads as all ones, which counts as empty.
 *
 * Source: National Semiconductor PC16550D data sheet, section 8 (registers).
 */
#include "console.h"
#include "port.h"

#define COM1 0x3f8
#define COM1_THR (COM1 + 0) /* transmitter holding register */
#define COM1_IER (COM1 + 1) /* interrupt enable register */
#define COM1_FCR (COM1 + 2) /* FIFO control register */
#define COM1_LCR (COM1 + 3) /* line control register */
#define COM1_MCR (COM1 + 4) /* modem control register */
#define COM1_LSR (COM1 + 5) /* line status register */
#define LCR_8N1 0x03
#define LCR_DLAB 0x80
#define FCR_ENABLE_AND_CLEAR 0x07
#define MCR_DTR_RTS 0x03
#define LSR_THRE 0x20

void console_start(void)
{
    out8(COM1_IER, 0);
    out8(COM1_LCR, LCR_DLAB);
    out8(COM1_THR, 1); /* divisor 1: 115200 baud */
    out8(COM1_IER, 0);
    out8(COM1_LCR, LCR_8N1);
    out8(COM1_FCR, FCR_ENABLE_AND_CLEAR);
    out8(COM1_MCR, MCR_DTR_RTS);
}

static void put(char character)
{
    if (character == '\n')
        put('\r');
    while ((in8(COM1_LSR) & LSR_THRE) == 0)
        ;
    out8(COM1_THR, (uint8_t)character);
}

/* Divide by a 32-bit number in place and return the remainder: two DIVs, so no helper from libgcc is needed. */
static uint32_t divide(uint64_t *value, uint32_t divisor)
{
    uint32_t high = (uint32_t)(*value >> 32), low = (uint32_t)*value, remainder = high % divisor;
    high /= divisor;
    __asm__("divl %4" : "=a"(low), "=d"(remainder) : "0"(low), "1"(remainder), "rm"(divisor));
    *value = (uint64_t)high << 32 | low;
    return remainder;
}

static void put_number(uint64_t value, uint32_t base, int width, char padding)
{
    char digits[20];
    int count = 0;
    do
        digits[count++] = "0123456789abcdef"[divide(&value, base)];
    while (value != 0);
    for (int i = count; i < width; i++)
        put(padding);
    while (count > 0)
        put(digits[--count]);
}

static void put_signed(int32_t value, int width, char padding)
{
    if (value < 0)
        put('-');
    put_number(value < 0 ? -(uint32_t)value : (uint32_t)value, 10, width, padding);
}

void print_list(const char *format, va_list arguments)
{
    for (; *format != 0; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        format++;
        char padding = *format == '0' ? '0' : ' ';
        int width = 0, longs = 0;
        for (; *format >= '0' && *format <= '9'; format++)
            width = width * 10 + (*format - '0');
        for (; *format == 'l'; format++)
            longs++;
        if (*format == 'u' || *format == 'x') {
            uint64_t value = longs == 2 ? va_arg(arguments, uint64_t) : va_arg(arguments, uint32_t);
            put_number(value, *format == 'x' ? 16 : 10, width, padding);
        } else if (*format == 'd') {
            put_signed(va_arg(arguments, int32_t), width, padding);
        } else if (*format == 's') {
            for (const char *text = va_arg(arguments, const char *); *text != 0; text++)
                put(*text);
        } else if (*format == 'c') {
            put((char)va_arg(arguments, int));
        } else if (*format == '%') {
            put('%');
        } else {
            return; /* a directive we do not know: print no garbage */
        }
    }
}

void print(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_list(format, arguments);
    va_end(arguments);
}
