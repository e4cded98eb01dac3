/*
 * Writes a cpio archive in the "newc" form that Linux unpacks as its initial RAM disk, from a list on stdin:
 *
 *   dir PATH MODE                      file PATH MODE SOURCE
 *   slink PATH TARGET                  nod PATH MODE MAJOR MINOR      (a character device)
 *
 * Everything belongs to root and is dated 0, so equal contents give equal archives. Runs on the host.
 * Source: Linux Documentation/driver-api/early-userspace/buffer-format.rst.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIRECTORY 0040000u
#define CHARACTER 0020000u
#define REGULAR 0100000u
#define SYMLINK 0120000u

static unsigned inode, offset, line_number;

static void fail(const char *what, const char *name)
{
    fprintf(stderr, "newc: line %u: %s %s\n", line_number, what, name);
    exit(1);
}

static void put(const void *bytes, size_t count)
{
    if (count > 0 && fwrite(bytes, 1, count, stdout) != count)
        fail("cannot write", "stdout");
    offset += count;
}

/* Names and contents begin at multiples of four. */
static void align(void)
{
    put("\0\0\0", -offset & 3);
}

static void entry(const char *path, unsigned mode, unsigned major, unsigned minor, const void *data, size_t size)
{
    char header[111];
    snprintf(header, sizeof header, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", ++inode, mode, 0u, 0u,
             1u, 0u, (unsigned)size, 0u, 0u, major, minor, (unsigned)strlen(path) + 1, 0u);
    put(header, 110);
    put(path, strlen(path) + 1);
    align();
    put(data, size);
    align();
}

static void file(const char *path, unsigned mode, const char *source)
{
    FILE *in = fopen(source, "rb");
    if (!in || fseek(in, 0, SEEK_END) != 0)
        fail("cannot read", source);
    size_t size = (size_t)ftell(in);
    rewind(in);
    char *data = malloc(size + 1);
    if (!data || fread(data, 1, size, in) != size)
        fail("cannot read", source);
    fclose(in);
    entry(path, REGULAR | mode, 0, 0, data, size);
    free(data);
}

int main(void)
{
    char line[4096], path[2048], other[2048];
    unsigned mode, major, minor;
    while (fgets(line, sizeof line, stdin)) {
        line_number++;
        if (sscanf(line, "dir %2047s %o", path, &mode) == 2)
            entry(path, DIRECTORY | mode, 0, 0, "", 0);
        else if (sscanf(line, "file %2047s %o %2047s", path, &mode, other) == 3)
            file(path, mode, other);
        else if (sscanf(line, "slink %2047s %2047s", path, other) == 2)
            entry(path, SYMLINK | 0777, 0, 0, other, strlen(other));
        else if (sscanf(line, "nod %2047s %o %u %u", path, &mode, &major, &minor) == 4)
            entry(path, CHARACTER | mode, major, minor, "", 0);
        else
            fail("cannot understand", line);
    }
    entry("TRAILER!!!", 0, 0, 0, "", 0);
    return fflush(stdout) == 0 ? 0 : 1;
}
