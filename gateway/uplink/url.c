/* The address of a city. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gateway/uplink/uplink_int.h"

/* What is wrong is said without the text: it may hold a password. */
enum st uplink_url_check(const char *url, struct err *e)
{
    static const char https[] = "https://";
    size_t n = sizeof(https) - 1;
    const char *host = strncmp(url, https, n) == 0 ? url + n : "";
    size_t host_n = strcspn(host, "/?#");
    if (memchr(host, '@', host_n)) {
        return err_set(e, ST_BAD,
                       "url: takes no name and no password, for it is shown, and goes with the "
                       "configuration to the city; take what stands before the @ away: this "
                       "gateway shows the certificate in `identity` (fieldpost enroll)");
    }
    if (host_n == 0 || strpbrk(url, " ?#@")) {
        return err_set(
            e, ST_BAD,
            "url: must be https://HOST[:PORT][/PATH], such as https://city.example:8443");
    }
    return strlen(url) <= UPLINK_URL_BYTES / 2
               ? ST_OK
               : err_set(e, ST_BAD, "url: is longer than %d bytes", UPLINK_URL_BYTES / 2);
}

size_t uplink_url_base(const char *url)
{
    size_t n = strlen(url);
    while (n > 0 && url[n - 1] == '/') {
        n--;
    }
    return n;
}

enum st uplink_url_put(char out[UPLINK_URL_BYTES], const char *url, struct err *e, const char *fmt,
                       ...)
{
    va_list ap;
    int base = (int)uplink_url_base(url);
    int n = snprintf(out, UPLINK_URL_BYTES, "%.*s", base, url);
    if (n >= 0 && n < UPLINK_URL_BYTES) {
        va_start(ap, fmt);
        int more = vsnprintf(out + n, (size_t)(UPLINK_URL_BYTES - n), fmt, ap);
        va_end(ap);
        n = more < 0 ? UPLINK_URL_BYTES : n + more;
    }
    return n >= 0 && n < UPLINK_URL_BYTES ? ST_OK
                                          : err_set(e, ST_BAD, "%s: the address is too long", url);
}
