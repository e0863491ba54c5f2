/* Whether a link costs by the byte: told by the interface, as sysfs describes it
 * (Documentation/ABI/testing/sysfs-class-net, networking/operstates). */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/uplink/uplink_int.h"

#define TYPE_PPP 512 /* ARPHRD_PPP */

/* What modems on USB are driven by. A few of these drive USB Ethernet too: `metered: never`. */
static const char *const modem_drivers[] = {
    "qmi_wwan", "cdc_mbim", "cdc_ncm", "huawei_cdc_ncm", "cdc_ether", "rndis_host", "sierra_net",
    "hso",      "ipheth",   "iosm",    "mtk_t7xx",       "mhi_net",   NULL};

static bool path_of(char out[PATH_MAX], const char *root, const char *interface, const char *name)
{
    int n = snprintf(out, PATH_MAX, "%s/sys/class/net/%s%s%s", root, interface, name[0] ? "/" : "",
                     name);
    return n > 0 && n < PATH_MAX;
}

/* A small file as text; false when it cannot be read. */
static bool text_of(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, out, size - 1);
    (void)close(fd);
    out[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static bool is_modem(const char *root, const char *interface)
{
    char path[PATH_MAX], text[1024], driver[PATH_MAX];
    if (path_of(path, root, interface, "type") && text_of(path, text, sizeof(text)) &&
        strtol(text, NULL, 10) == TYPE_PPP) {
        return true;
    }
    if (path_of(path, root, interface, "uevent") && text_of(path, text, sizeof(text)) &&
        strstr(text, "DEVTYPE=wwan\n")) {
        return true;
    }
    ssize_t n = path_of(path, root, interface, "device/driver")
                    ? readlink(path, driver, sizeof(driver) - 1)
                    : -1;
    if (n <= 0) {
        return false;
    }
    driver[n] = '\0';
    const char *slash = strrchr(driver, '/');
    for (size_t i = 0; modem_drivers[i]; i++) {
        if (strcmp(slash ? slash + 1 : driver, modem_drivers[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* A tunnel or a bridge has no device of its own: what it runs over is the default route's. */
static bool is_virtual(const char *root, const char *interface)
{
    char path[PATH_MAX];
    return !path_of(path, root, interface, "device") || access(path, F_OK) != 0;
}

/* Of the default routes that are up, the one with the lowest metric: fields by their place in a
 * line of /proc/net/route or ipv6_route. */
static bool route_in(const char *root, const char *name, bool six, char *out)
{
    char path[PATH_MAX], line[512], dest[64], mask[64], dev[64], flags[64], metric[64];
    unsigned long best = ULONG_MAX;
    (void)snprintf(path, sizeof(path), "%s/proc/net/%s", root, name);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        int got = six ? sscanf(line, "%63s %63s %*s %*s %*s %63s %*s %*s %63s %63s", dest, mask,
                               metric, flags, dev)
                      : sscanf(line, "%63s %63s %*s %63s %*s %*s %63s %63s", dev, dest, flags,
                               metric, mask);
        if (got != 5 || strspn(dest, "0") != strlen(dest) || strspn(mask, "0") != strlen(mask) ||
            !(strtoul(flags, NULL, 16) & 1) || (six && strcmp(dev, "lo") == 0)) {
            continue;
        }
        unsigned long cost = strtoul(metric, NULL, six ? 16 : 10);
        if (cost >= best) {
            continue;
        }
        best = cost;
        (void)snprintf(out, HTTP_INTERFACE_BYTES, "%s", dev);
    }
    if (f) {
        (void)fclose(f);
    }
    return best != ULONG_MAX;
}

bool uplink_link_metered(const char *root, const char *interface)
{
    char dev[HTTP_INTERFACE_BYTES] = "";
    if (interface[0] && is_modem(root, interface)) {
        return true;
    }
    if (interface[0] && !is_virtual(root, interface)) {
        return false;
    }
    if (!route_in(root, "route", false, dev) && !route_in(root, "ipv6_route", true, dev)) {
        return false;
    }
    return is_modem(root, dev);
}
