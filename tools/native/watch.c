/* watch.c - a file descriptor of an addon that the event loop watches for its owner.
 *
 * Invariants: after watch_close() nothing is called; the poll handle's memory lives until libuv has let go of it.
 * Source: libuv's poll handles. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include "watch.h"

/* What is used of libuv, whose ABI is the same in all of 1.x; its header is not among Node-API's. */
typedef struct uv_poll_s uv_poll_t;
enum { UV_POLL = 8, UV_READABLE = 1 };
extern size_t uv_handle_size(int type);
extern void uv_handle_set_data(uv_poll_t *handle, void *data);
extern void *uv_handle_get_data(const uv_poll_t *handle);
extern int uv_poll_init(struct uv_loop_s *loop, uv_poll_t *handle, int fd);
extern int uv_poll_start(uv_poll_t *handle, int events, void (*callback)(uv_poll_t *, int, int));
extern void uv_close(uv_poll_t *handle, void (*callback)(uv_poll_t *));

static void release_poll(uv_poll_t *poll)
{
    free(poll);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
    struct watch *w = uv_handle_get_data(poll);
    napi_env env = w->env;
    napi_handle_scope scope;
    napi_value function, receiver, error;
    bool pending = false;
    (void)status, (void)events; /* an error shows at the next read */
    napi_open_handle_scope(env, &scope);
    napi_get_reference_value(env, w->on_readable, &function);
    napi_get_global(env, &receiver);
    napi_make_callback(env, NULL, receiver, function, 0, NULL, NULL);
    napi_is_exception_pending(env, &pending);
    if (pending) {
        napi_get_and_clear_last_exception(env, &error);
        napi_fatal_exception(env, error);
    }
    napi_close_handle_scope(env, scope);
}

int watch_start(struct watch *w, napi_value on_readable)
{
    struct uv_loop_s *loop;
    uv_poll_t *poll = calloc(1, uv_handle_size(UV_POLL));
    if (!poll || napi_get_uv_event_loop(w->env, &loop) != napi_ok ||
        napi_create_reference(w->env, on_readable, 1, &w->on_readable) != napi_ok) {
        free(poll);
        return -ENOMEM;
    }
    int status = uv_poll_init(loop, poll, w->fd);
    if (status < 0) {
        free(poll);
        return status;
    }
    w->poll = poll;
    uv_handle_set_data(poll, w);
    return uv_poll_start(poll, UV_READABLE, on_event);
}

void watch_close(struct watch *w)
{
    if (w->poll)
        uv_close(w->poll, release_poll);
    w->poll = NULL;
    if (w->on_readable)
        napi_delete_reference(w->env, w->on_readable);
    w->on_readable = NULL;
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}
