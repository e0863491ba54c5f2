/* fieldpost-sim: plays a site of Modbus devices, TCP and RTU on a pty. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/net.h"

static const char help[] =
    "fieldpost-sim --config SITE.yaml [--log SERVED.csv] [--profiles DIR] [--seed N]\n"
    "Plays a site of Modbus devices. Prints `bus <id> <address>` per bus, then `ready`.\n"
    "  --config F    the site: buses, devices, traces, formulas, faults\n"
    "  --log F       what was served, as device,counter,point,value\n"
    "  --profiles D  where profile names are looked up (../share/fieldpost/profile)\n"
    "  --seed N      of random and walk formulas and of garbage\n"
    "On stdin: `fault <device> <kind> <count>`, `heal <device>`, `words <device> <file>`, and for\n"
    "devices with settings `plug`, `unplug` and `power <device>`, answered with `ok`.\n"
    "SIGUSR1: ends the polls in progress, prints `quiet` and stays silent. SIGTERM: so, prints\n"
    "`requests <n>`, how many came in all, and exits.\n";

static char *installed_profiles(void)
{
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    exe[n > 0 ? n : 0] = '\0';
    return sim_path_beside(exe, "../share/fieldpost/profile");
}

static enum st play(const char *config, const char *log_path, const char *profiles, uint64_t seed,
                    struct err *e)
{
    struct sim_site *site = NULL;
    struct sim_net *net = NULL;
    FILE *log = NULL;
    enum st st = sim_site_open(&site, config, profiles, seed, e);

    if (st != ST_OK)
        return st;
    if (log_path == NULL)
        log_path = sim_site_log(site);
    if (log_path != NULL && (log = fopen(log_path, "we")) == NULL) {
        st = err_set(e, ST_IO, "%s: %s", log_path, strerror(errno));
        goto out;
    }
    if (log != NULL)
        fputs("device,counter,point,value\n", log);
    st = sim_net_open(&net, site, log, e);
    if (st == ST_OK)
        st = sim_net_run(net, e);
    bool spoilt = log != NULL && ferror(log) != 0;
    if (log != NULL && fclose(log) != 0)
        spoilt = true;
    if (spoilt && st == ST_OK)
        st = err_set(e, ST_IO, "%s: not all could be written", log_path);
out:
    sim_net_close(net);
    sim_site_close(site);
    return st;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},   {"log", required_argument, NULL, 'l'},
        {"profiles", required_argument, NULL, 'p'}, {"seed", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},           {0}};
    const char *config = NULL, *log = NULL, *profiles = NULL;
    char *installed = NULL, *end = "";
    uint64_t seed = 1;
    struct err e;

    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (o == 'h') {
            fputs(help, stdout);
            return 0;
        }
        if (o == 'c')
            config = optarg;
        else if (o == 'l')
            log = optarg;
        else if (o == 'p')
            profiles = optarg;
        else if (o == 's')
            seed = strtoull(optarg, &end, 0);
        else
            return 2;
    }
    if (config == NULL || optind != argc || *end != '\0') {
        fputs(help, stderr);
        return 2;
    }
    if (profiles == NULL)
        profiles = installed = installed_profiles();
    enum st st = profiles == NULL ? err_set(&e, ST_MEMORY, "no memory")
                                  : play(config, log, profiles, seed, &e);
    free(installed);
    if (st == ST_OK)
        return 0;
    fprintf(stderr, "fieldpost-sim: %s\n", e.text);
    return st == ST_BAD || st == ST_NOT_FOUND ? 2 : 1;
}
