/* "Probe now": a folder beside the store, in which each file names a bus, or a unit of one, whose
 * back-off is to end. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/drop.h"
#include "gateway/collect/collect_int.h"

#define SUFFIX ".probe"
#define FOLDER_MODE 0700
#define LOOK_MS 1000
#define UNIT_MARK '@'    /* never in an id */
#define WAITING_MAX 4096 /* files */

const char *collect_cfg_bus(const struct collect_cfg *cfg, size_t i)
{
    const struct collect_bus_cfg *all = cfg->buses.v;
    return i < cfg->buses.n ? all[i].id : NULL;
}

const char *collect_cfg_device(const struct collect_cfg *cfg, const char *id, int *unit)
{
    const struct collect_device_cfg *all = cfg->devices.v;
    for (size_t i = 0; i < cfg->devices.n; i++)
        if (strcmp(all[i].id, id) == 0) {
            *unit = (int)all[i].unit;
            return all[i].bus;
        }
    return NULL;
}

enum st collect_probe_ask(const char *store_path, const char *bus, int unit, char *name, size_t n,
                          struct err *e)
{
    char folder_path[DROP_PATH_BYTES], file[128];
    int folder;
    int len = unit < 0 ? snprintf(file, sizeof file, "%s", bus)
                       : snprintf(file, sizeof file, "%s%c%d", bus, UNIT_MARK, unit);
    if (len < 0 || (size_t)len >= sizeof file)
        return err_set(e, ST_BAD, "bus %s: its name is too long", bus);
    enum st st = drop_open(store_path, SUFFIX, FOLDER_MODE, folder_path, &folder, e);
    if (st != ST_OK)
        return st;
    st = drop_put(folder, folder_path, file, "", 0, WAITING_MAX, "", e);
    (void)close(folder);
    if (st == ST_OK && snprintf(name, n, "%s/%s", folder_path, file) >= (int)n)
        st = err_set(e, ST_BAD, "store.path is too long");
    return st;
}

/* Whether the file is for this bus; then *unit is the unit's number, -1 for all of it. */
static bool is_ours(const char *file, const char *bus, long *unit)
{
    size_t n = strlen(bus);
    char *end;
    *unit = -1;
    if (strncmp(file, bus, n) != 0 || (file[n] != '\0' && file[n] != UNIT_MARK))
        return false;
    if (file[n] == '\0')
        return true;
    *unit = strtol(file + n + 1, &end, 10);
    return *end == '\0' && end > file + n + 1 && *unit >= 0;
}

static void hurry(struct collect_bus *b, long unit, struct mono now)
{
    for (size_t i = 0; i < b->nunits; i++)
        if (unit < 0 || b->units[i]->number == unit)
            collect_unit_hurry(b->units[i], now);
}

void collect_probe_take(const struct collect_bus_job *job, struct collect_bus *b)
{
    struct mono now = clk_mono(job->clk);
    char folder[DROP_PATH_BYTES];
    bool sick = b->lost;
    for (size_t i = 0; i < b->nunits; i++)
        sick |= collect_unit_sick(b->units[i]);
    if (!sick || (now.ms >= b->asked_at.ms && now.ms - b->asked_at.ms < LOOK_MS) ||
        snprintf(folder, sizeof folder, "%s" SUFFIX, store_path(job->store)) >= (int)sizeof folder)
        return;
    b->asked_at = now;
    DIR *d = opendir(folder);
    if (!d)
        return; /* nobody ever asked */
    for (const struct dirent *f; (f = readdir(d));) {
        long unit;
        if (!is_ours(f->d_name, b->cfg->id, &unit) || unlinkat(dirfd(d), f->d_name, 0) != 0)
            continue; /* one that stays would ask again and again */
        hurry(b, unit, now);
        collect_port_hurry(b->port);
    }
    (void)closedir(d);
}
