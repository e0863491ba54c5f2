#include "tests/sim/control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum sim_fault fault_by_word(const char *word)
{
    for (const struct cfg_word *w = sim_fault_words; w->word != NULL; w++)
        if (strcmp(w->word, word) == 0)
            return (enum sim_fault)w->value;
    return SIM_FAULT_NONE;
}

/* What a hand does to a device with settings. */
static const char *handle(struct sim_device *d, const char *verb)
{
    if (d == NULL || d->settings.setup == NULL)
        return "there is no such device with settings";
    if (strcmp(verb, "power") == 0)
        sim_settings_power(&d->settings);
    else if (strcmp(verb, "stubborn") == 0)
        d->settings.stubborn = !d->settings.stubborn;
    else
        d->settings.unplugged = strcmp(verb, "unplug") == 0;
    return NULL;
}

const char *sim_control_obey(struct sim_site *s, const char *line)
{
    char verb[16], device[80], kind[32];
    uint64_t count = 0;
    int words = sscanf(line, "%15s %79s %31s %" SCNu64, verb, device, kind, &count);
    static const char *const hands[] = {"power", "plug", "unplug", "stubborn"};
    for (size_t i = 0; words == 2 && i < sizeof(hands) / sizeof(hands[0]); i++)
        if (strcmp(verb, hands[i]) == 0)
            return handle(sim_site_device(s, device), verb);
    bool fault = words == 4 && strcmp(verb, "fault") == 0;
    bool put = words == 3 && strcmp(verb, "words") == 0;
    static struct err e;

    if (!fault && !put && !(words == 2 && strcmp(verb, "heal") == 0))
        return "write: fault <device> <kind> <count>, words <device> <file>, or heal, plug, "
               "unplug, "
               "power <device>";
    struct sim_device *d = sim_site_device(s, device);
    if (d == NULL)
        return "there is no such device";
    if (put)
        return sim_site_words(s, d, kind, &e) == ST_OK ? NULL : e.text;
    if (!fault) {
        d->forced_left = 0;
        d->nrules = 0;
        return NULL;
    }
    enum sim_fault f = fault_by_word(kind);
    if (f == SIM_FAULT_NONE)
        return "there is no such fault";
    if (!sim_fault_fits(f, sim_site_bus_of(s, d)->tcp))
        return "this fault is not possible on that bus";
    d->forced = f;
    d->forced_left = count;
    return NULL;
}

bool sim_control_read(struct sim_control *c, struct sim_site *s)
{
    ssize_t got = read(STDIN_FILENO, c->line + c->n, sizeof(c->line) - 1 - c->n);
    if (got <= 0)
        return got < 0 && (errno == EINTR || errno == EAGAIN);
    c->n += (size_t)got;
    for (char *end; (end = memchr(c->line, '\n', c->n)) != NULL;) {
        *end = '\0';
        const char *wrong = sim_control_obey(s, c->line);
        if (wrong == NULL)
            puts("ok");
        else
            printf("error: %s\n", wrong);
        c->n -= (size_t)(end + 1 - c->line);
        memmove(c->line, end + 1, c->n);
    }
    if (c->n == sizeof(c->line) - 1) {
        puts("error: the line is too long");
        c->n = 0;
    }
    fflush(stdout);
    return true;
}
