/* Which profiles there are, and what each says of itself. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/collect_int.h"

static int is_profile(const struct dirent *f)
{
    const char *dot = strrchr(f->d_name, '.');
    return dot && dot != f->d_name && strcmp(dot, ".yaml") == 0;
}

/* One block: the pointers, then the names. */
char **collect_profile_names(const char *dir, size_t *n)
{
    struct dirent **list = NULL;
    int found = scandir(dir, &list, is_profile, alphasort);
    size_t bytes = sizeof(char *);
    *n = 0;
    if (found < 0)
        return NULL;
    for (int i = 0; i < found; i++)
        bytes += sizeof(char *) + strlen(list[i]->d_name) + 1;
    char **names = malloc(bytes);
    char *text = names ? (char *)(names + found) : NULL;
    for (int i = 0; i < found; i++) {
        if (names) {
            size_t stem = strlen(list[i]->d_name) - strlen(".yaml");
            memcpy(text, list[i]->d_name, stem);
            text[stem] = '\0';
            names[(*n)++] = text;
            text += stem + 1;
        }
        free(list[i]);
    }
    free(list);
    return names;
}

char *collect_profile_nearest(const char *name, const char *dir)
{
    size_t n;
    char **names = collect_profile_names(dir, &n);
    const char *near = names ? cfg_nearest(name, (const char *const *)names, n) : NULL;
    char *found = near ? strdup(near) : NULL;
    free(names);
    return found;
}

static enum st tell_one(const struct collect_profile *p, const char *name, collect_tell *tell,
                        void *arg)
{
    const struct quantity **quantities = calloc(p->n, sizeof(void *));
    struct collect_about about = {.name = name,
                                  .model = p->model,
                                  .what = p->what,
                                  .source = p->source,
                                  .verified = p->verified,
                                  .quantities = quantities};
    if (!quantities)
        return ST_MEMORY;
    for (size_t i = 0; i < p->n; i++) {
        const struct quantity *q = p->points[i].quantity;
        size_t at = 0;
        while (at < about.n && quantities[at] != q)
            at++;
        if (q && at == about.n)
            quantities[about.n++] = q;
    }
    enum st st = tell(&about, arg);
    free(quantities);
    return st;
}

static enum st load_and_tell(const char *dir, const char *name, collect_tell *tell, void *arg,
                             struct buf *why)
{
    struct collect_profile p = {0};
    char *path = collect_profile_path(name, dir, "");
    enum st st = path ? collect_profile_load(&p, path, dir, why) : ST_MEMORY;
    if (st == ST_OK)
        st = tell_one(&p, name, tell, arg);
    if (st == ST_NOT_FOUND) {
        char *near = collect_profile_is_path(name) ? NULL : collect_profile_nearest(name, dir);
        if (buf_printf(why, "no profile %s%s%s%s\n", path, near ? "; did you mean \"" : "",
                       near ? near : "", near ? "\"?" : "") != ST_OK)
            st = ST_MEMORY;
        free(near);
    }
    collect_profile_done(&p);
    free(path);
    return st;
}

enum st collect_profiles_tell(const char *dir, char *const *names, size_t n, collect_tell *tell,
                              void *arg, struct buf *why)
{
    char **all = NULL;
    enum st st = ST_OK;
    bool bad = false;
    if (n == 0) {
        names = all = collect_profile_names(dir, &n);
        if (!all)
            st = buf_printf(why, "%s: the installed profiles cannot be listed\n", dir) == ST_OK
                     ? ST_IO
                     : ST_MEMORY;
    }
    for (size_t i = 0; st == ST_OK && i < n; i++) {
        st = load_and_tell(dir, names[i], tell, arg, why);
        if (st == ST_BAD) { /* the others are worth seeing */
            bad = true;
            st = ST_OK;
        }
    }
    free(all);
    return st == ST_OK && bad ? ST_BAD : st;
}

enum st collect_used_tell(const struct collect *k, collect_tell *tell, void *arg)
{
    enum st st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < k->ndevices; i++) {
        const struct collect_device *d = &k->devices[i];
        size_t first = 0;
        while (k->devices[first].profile->path != d->profile->path)
            first++;
        if (first == i)
            st = tell_one(d->profile, d->cfg->profile, tell, arg);
    }
    return st;
}
