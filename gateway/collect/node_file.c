/* What a node said of itself, as a file beside the store. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gateway/collect/node_int.h"

#define AT(k, m) .key = k, .offset = offsetof(struct collect_node_at, m)
static const struct cfg_field at_fields[] = {
    {AT("values", values), .kind = CFG_INT, .min = 5, .max = 65535,
     .help = "address of its block VALUES, behind its length"},
    {AT("length", length), .kind = CFG_INT, .min = 4, .max = 65535, .help = "of that block"},
    {AT("head", head), .kind = CFG_INT, .min = 4, .max = 65535, .help = "registers of its head"},
    {AT("entry", entry), .kind = CFG_INT, .min = 3, .max = 65535,
     .help = "registers of an entry of it"},
    {AT("diagnostics", diagnostics), .kind = CFG_INT, .min = 5, .max = 65535,
     .help = "address of its block DIAGNOSTICS"},
    {.key = NULL}};
const struct cfg_table collect_node_at_table = {sizeof(struct collect_node_at), at_fields};

bool collect_node_is(const struct collect_device_cfg *cfg)
{
    return cfg->profile && strcmp(cfg->profile, COLLECT_NODE_PROFILE) == 0;
}

static char *path_of(const char *dir, const char *id)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s.yaml", dir, id) < 0 ? NULL : path;
}

/* What is known of one that was not met: that there should be a mark. */
static enum st unmet(struct collect_profile *p, const char *id)
{
    static char mark[] = "(mark)", model[] = "sensor node";
    static char source[] = "not met yet: it says itself what it measures";
    *p = (struct collect_profile){.path = strdup(id),
                                  .learned = true,
                                  .good = true,
                                  .model = model,
                                  .source = source,
                                  .points = calloc(1, sizeof *p->points),
                                  .n = 1,
                                  .joined = true,
                                  .turnaround_ms = COLLECT_TURNAROUND_MS,
                                  .most = {[3] = COLLECT_REGISTERS_MAX, COLLECT_REGISTERS_MAX}};
    if (!p->path || !p->points)
        return ST_MEMORY;
    p->points[0] = (struct collect_point){
        .name = mark, .function = 3, .type = COLLECT_TYPE_u32, .hidden = true};
    collect_decoder_init(&p->points[0].decoder, &p->points[0]);
    return ST_OK;
}

/* ST_OK: it is one that collect_node_profile wrote, as far as anybody can see. */
static enum st load_file(struct collect_profile *p, const char *path, const char *profile_dir)
{
    struct buf why, bytes = {.max = COLLECT_NODE_FILE_MAX};
    buf_init(&why, COLLECT_NODE_FILE_MAX);
    enum st st = collect_profile_load(p, path, profile_dir, &why);
    buf_done(&why);
    if (st == ST_OK && (p->node.entry == 0 || p->nfiles != 1 || p->sunspec))
        st = ST_CORRUPT;
    if (st != ST_OK)
        return st;
    (void)cfg_take(p->files[0], &bytes);
    p->node.sum = node_crc32(0, bytes.p, bytes.n);
    buf_done(&bytes);
    p->learned = true;
    return ST_OK;
}

enum st collect_node_load(struct collect_profile *p, const struct collect_device_cfg *cfg,
                          const char *dir, const char *profile_dir)
{
    char *path = dir ? path_of(dir, cfg->id) : NULL;
    if (dir && !path)
        return ST_MEMORY;
    enum st st = path ? load_file(p, path, profile_dir) : ST_NOT_FOUND;
    free(path);
    if (st == ST_OK || st == ST_MEMORY)
        return st;
    collect_profile_done(p);
    return unmet(p, cfg->id);
}

/* Minutes until its file may be written again; 0: now. */
static int64_t minutes_left(const char *path, int64_t utc_ms)
{
    struct stat sb;
    if (stat(path, &sb) != 0)
        return 0;
    int64_t since_ms = utc_ms - (int64_t)sb.st_mtime * 1000;
    return since_ms < 0 || since_ms >= COLLECT_NODE_KEEP_MS
               ? 0
               : (COLLECT_NODE_KEEP_MS - since_ms + 59999) / 60000;
}

bool collect_node_keep(const char *dir, const char *id, const struct buf *profile, int64_t utc_ms,
                       char *why, size_t n)
{
    struct collect_profile trial = {.n = 0};
    struct err e = {.text = "no memory"};
    char *path = path_of(dir, id);
    int64_t left = path ? minutes_left(path, utc_ms) : 0;
    bool kept = false;
    if (left > 0)
        (void)snprintf(why, n,
                       "what it measures has changed again: it is taken over in %lld min. Two "
                       "nodes of one unit number?",
                       (long long)left);
    else if (mkdir(dir, 0755) != 0 && errno != EEXIST)
        (void)snprintf(why, n, "what it says of itself cannot be kept: %.60s: %s", dir,
                       strerror(errno));
    else if (!path || wire_file_put(path, profile->p, profile->n, 0644, true, &e) != ST_OK)
        (void)snprintf(why, n, "what it says of itself cannot be kept: %.120s", e.text);
    else if (load_file(&trial, path, "") != ST_OK)
        (void)snprintf(why, n, "what it says of itself makes no profile: see %.100s", path);
    else
        kept = true;
    collect_profile_done(&trial);
    free(path);
    return kept;
}
