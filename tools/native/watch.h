/* watch.h - a file descriptor of an addon that the event loop watches for its owner. */
#pragma once
#include <node_api.h>

/* Zero bytes but for `fd` and `env` before watch_start(). */
struct watch {
    napi_env env;
    napi_ref on_readable;
    struct uv_poll_s *poll;
    int fd; /* -1: closed */
};

/* Call `on_readable` from the event loop while there is something to read; what it throws is an uncaught exception. The descriptor
 * is the watch's from now on. 0, or a negative errno: watch_close() is still needed. */
int watch_start(struct watch *w, napi_value on_readable);

/* Close the descriptor, once; nothing is called any more. */
void watch_close(struct watch *w);
