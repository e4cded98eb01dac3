/* The guest's console: COM1, polled, and a small printf. */
#pragma once

#include <stdarg.h>
#include <stdint.h>

/* 115200 baud, 8N1, FIFO on, no interrupts. */
void console_start(void);

/* Understands %s %c %d %u %x %08x (any width, zero or blank padding), %llu %llx and %%. '\n' is sent as CR LF. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_list(const char *format, va_list arguments);
