/*
 * What every Multiboot guest gets: start-up, exit codes, and the way to stop.
 *
 *   _start (entry.S) -> runtime_start -> guest_main -> finish(its return value)
 *
 * A guest defines GUEST_NAME through the Makefile (the prefix of its console lines) and guest_main().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum exit_code {
    EXIT_OK = 0,
    EXIT_CHECK = 1,     /* something the guest verifies was wrong */
    EXIT_NEEDS = 2,     /* a bad option, or the machine lacks what the guest needs */
    EXIT_EXCEPTION = 3, /* an exception that nobody expected */
};

/* The guest itself. Runs with interrupts enabled, paging off, CPL 0; its return value is the exit code. */
int guest_main(void);

/* The guest's name, for messages. */
extern const char guest_name[];

/* Stop the machine through the debug-exit port; without such a device, halt for good. */
void finish(int code) __attribute__((noreturn));

/* Print "NAME: message" as one line and stop with this code. */
void fail(int code, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));

/* Stop with EXIT_CHECK unless the condition holds. */
#define check(condition, ...) ((condition) ? (void)0 : fail(EXIT_CHECK, __VA_ARGS__))
