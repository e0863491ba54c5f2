/* Tells the service manager how we are: the protocol of sd_notify(3), whose manual gives it as
 * stable and fit for an implementation of one's own. libsystemd would bring four libraries and
 * 0.8 MiB of memory for these datagrams. */
#ifndef GATEWAY_BASE_NOTIFY_H
#define GATEWAY_BASE_NOTIFY_H

#include <stdint.h>

/* Sends a state, such as "READY=1", to the socket in NOTIFY_SOCKET. Nothing happens without one;
 * a manager that does not listen is no error of ours. Any thread. */
void notify_send(const char *state);
/* How often at least the manager wants "WATCHDOG=1" from this process; 0: not at all. */
uint64_t notify_watchdog_us(void);

#endif
