/* The watchdog's window. */
#include "firmware/mcu/window.h"

bool window_open(struct window *w, uint32_t now_ms)
{
    w->shut = w->shut || (w->fed && now_ms - w->fed_ms < WINDOW_MS);
    w->fed = true;
    w->fed_ms = now_ms;
    return !w->shut;
}
