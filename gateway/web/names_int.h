/* Private to the web room: the names and addresses under which the page is found. Any thread. */
#ifndef GATEWAY_WEB_NAMES_INT_H
#define GATEWAY_WEB_NAMES_INT_H

#include <ifaddrs.h>
#include <stdio.h>

#include "gateway/wire/wire.h"

struct web_cfg;

#define WEB_NAMES_MAX 32
struct web_names {
    char text[WEB_NAMES_MAX][WIRE_NAME_TEXT];
    size_t n;
};
/* Those of today, what is configured first: that is never what does not fit any more. addresses:
 * also of the machine's interfaces. id may be NULL. */
void web_names_find(struct web_names *names, const struct web_cfg *cfg, const char *id,
                    bool addresses);
bool web_names_have(const struct web_names *names, const char *text); /* in any case of letters */
/* Behind the others; not one that is there, is too long, or finds no place. */
void web_names_add(struct web_names *names, const char *text);
/* Adds the lasting addresses of getifaddrs(), of IPv4; and of IPv6 from lines of
 * /proc/net/if_inet6, which alone says what kind each is: none of a point-to-point interface, none
 * of one link alone, no temporary one (RFC 8981). */
void web_names_add_v4(struct web_names *names, const struct ifaddrs *all);
void web_names_add_v6(struct web_names *names, FILE *lines, const struct ifaddrs *all);

#endif
