#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/cfg.h"
#include "tests/support/temp.h"

enum { PARITY_NONE, PARITY_EVEN };
struct place {
    double lat, lon;
};
struct bus {
    char *id, *port;
    int64_t baud, timeout_ms;
    int parity;
};
struct point {
    char *name;
    struct num scale, valid[2];
};
struct site {
    char *id, *name;
    bool on;
    int64_t size_bytes, data_bytes, keep_ms;
    struct cfg_strings files;
    struct cfg_ints numbers;
    struct place place;
    struct cfg_items buses, points;
};

static const struct cfg_word parities[] = {{"none", PARITY_NONE}, {"even", PARITY_EVEN}, {NULL, 0}};
static const struct cfg_field place_fields[] = {
    {"lat", CFG_REAL, offsetof(struct place, lat), .required = true, .min = -90, .max = 90},
    {"lon", CFG_REAL, offsetof(struct place, lon), .required = true, .min = -180, .max = 180},
    {.key = NULL}};
static const struct cfg_table place_table = {sizeof(struct place), place_fields};
static const struct cfg_field bus_fields[] = {
    {"port", CFG_STRING, offsetof(struct bus, port), .required = true, .help = "the serial port"},
    {"baud", CFG_INT, offsetof(struct bus, baud), .dflt = "9600", .min = 300, .max = 115200},
    {"timeout", CFG_TIME, offsetof(struct bus, timeout_ms), .dflt = "1s", .min = 10, .max = 60000},
    {"parity", CFG_WORD, offsetof(struct bus, parity), .dflt = "none", .words = parities},
    {.key = NULL}};
static const struct cfg_table bus_table = {sizeof(struct bus), bus_fields};
static const struct cfg_field point_fields[] = {
    {"name", CFG_ID, offsetof(struct point, name), .required = true},
    {"scale", CFG_DECIMAL, offsetof(struct point, scale), .dflt = "1"},
    {"valid", CFG_RANGE, .offset = offsetof(struct point, valid)},
    {.key = NULL}};
static const struct cfg_table point_table = {sizeof(struct point), point_fields};
static const struct cfg_field site_fields[] = {
    {"id", CFG_ID, offsetof(struct site, id), .required = true},
    {"name", CFG_STRING, .offset = offsetof(struct site, name)},
    {"on", CFG_BOOL, offsetof(struct site, on), .dflt = "true"},
    {"size", CFG_SIZE, offsetof(struct site, size_bytes), .dflt = "2GiB", .min = 1024, .max = 1e12},
    {"data", CFG_DATA, offsetof(struct site, data_bytes), .min = 1e6, .max = 1e12},
    {"keep", CFG_TIME, offsetof(struct site, keep_ms), .dflt = "60d"},
    {"files", CFG_STRINGS, .offset = offsetof(struct site, files)},
    {"numbers", CFG_INTS, offsetof(struct site, numbers), .min = 0, .max = 65535},
    {"place", CFG_STRUCT, offsetof(struct site, place), .sub = &place_table},
    {"buses", CFG_MAP, offsetof(struct site, buses), .sub = &bus_table},
    {"points", CFG_LIST, offsetof(struct site, points), .sub = &point_table},
    {.key = NULL}};
static const struct cfg_table site_table = {sizeof(struct site), site_fields};

/* A file in a folder of its own, loaded with site_table; gone after free_loaded. */
struct loaded {
    char dir[64], path[80];
    struct site site;
    struct cfg *cfg;
    const char *text;
    size_t n;
    enum st st;
    struct err e;
};

static void write_file(struct loaded *l, const void *p, size_t n)
{
    assert_non_null(mkdtemp(temp_name(l->dir, sizeof l->dir)));
    (void)snprintf(l->path, sizeof(l->path), "%s/f", l->dir);
    FILE *f = fopen(l->path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void load_bytes(struct loaded *l, const void *p, size_t n)
{
    memset(l, 0, sizeof(*l));
    write_file(l, p, n);
    l->st = cfg_load_struct(&l->cfg, l->path, &site_table, &l->site, &l->e);
    assert_non_null(l->cfg);
    l->n = cfg_complaints(l->cfg, &l->text);
}

static void load(struct loaded *l, const char *yaml)
{
    load_bytes(l, yaml, strlen(yaml));
}

static void free_loaded(struct loaded *l)
{
    cfg_free(l->cfg);
    (void)unlink(l->path);
    (void)rmdir(l->dir);
}

/* The YAML gives exactly the complaints behind it, each "line:col: text". */
static void expect(const char *const *yaml_and_complaints)
{
    const char *yaml = yaml_and_complaints[0], *const *want = yaml_and_complaints + 1;
    struct loaded l;
    load(&l, yaml);
    char all[4096];
    size_t at = 0, n = 0;
    for (; want[n]; n++) {
        at += (size_t)snprintf(all + at, sizeof(all) - at, "%s:%s\n", l.path, want[n]);
    }
    all[at] = '\0';
    assert_string_equal(l.text, all);
    assert_int_equal(l.n, n);
    assert_int_equal(l.st, n ? ST_BAD : ST_OK);
    free_loaded(&l);
}
#define EXPECT(...) expect((const char *const[]){__VA_ARGS__, NULL})

static void kinds_are_read_exactly(void **state)
{
    (void)state;
    struct loaded l;
    load(&l, "id: tra-cau-01\n"
             "name: \"UBND phường Trà Câu\"\n"
             "on: false\n"
             "size: 64KiB\n"
             "keep: 2h\n"
             "files: [/a, '/b c']\n"
             "numbers: [0x10, 17]\n"
             "place: {lat: 14.82, lon: -108.95}\n"
             "buses:\n"
             "  one: {port: /dev/ttyS0, parity: even, timeout: 500ms, baud: 300}\n"
             "  two:\n"
             "    port: x # a comment\n"
             "points:\n"
             "  - {name: a, scale: 0.1, valid: [-40, 85.5]}\n"
             "  - {name: b}\n");
    assert_string_equal(l.text, "");
    assert_int_equal(l.st, ST_OK);
    const struct site *s = &l.site;
    assert_string_equal(s->id, "tra-cau-01");
    assert_string_equal(s->name, "UBND phường Trà Câu");
    assert_false(s->on);
    assert_int_equal(s->size_bytes, 65536);
    assert_int_equal(s->keep_ms, 7200000);
    assert_int_equal(s->files.n, 2);
    assert_string_equal(s->files.v[1], "/b c");
    assert_int_equal(s->numbers.n, 2);
    assert_int_equal(s->numbers.v[0], 16);
    assert_true(s->place.lat == 14.82 && s->place.lon == -108.95);
    assert_int_equal(s->buses.n, 2);
    const struct bus *b = s->buses.v;
    assert_string_equal(b[0].id, "one");
    assert_int_equal(b[0].parity, PARITY_EVEN);
    assert_int_equal(b[0].timeout_ms, 500);
    assert_int_equal(b[0].baud, 300);
    assert_string_equal(b[1].port, "x");
    assert_int_equal(b[1].baud, 9600);
    assert_int_equal(b[1].timeout_ms, 1000);
    const struct point *p = s->points.v;
    assert_int_equal(s->points.n, 2);
    assert_int_equal(p[0].scale.i, 1);
    assert_int_equal(p[0].scale.exp, -1);
    assert_int_equal(p[0].valid[0].i, -40);
    assert_int_equal(p[0].valid[1].i, 855);
    assert_int_equal(p[1].valid[0].kind, NUM_NONE);

    assert_int_equal(cfg_line(l.cfg, &s->on), 3);
    assert_int_equal(cfg_line(l.cfg, &b[0]), 10);
    assert_int_equal(cfg_line(l.cfg, &b[1].port), 12);
    assert_int_equal(cfg_line(l.cfg, &b[1].baud), 0);
    assert_int_equal(cfg_line(l.cfg, &s->files.v[1]), 6);
    assert_true(cfg_given(l.cfg, &b[0].baud));
    assert_false(cfg_given(l.cfg, &b[1].baud));
    assert_true(cfg_given(l.cfg, &s->place.lat));
    free_loaded(&l);
}

static void an_empty_map_may_come_first(void **state)
{
    (void)state;
    struct loaded l;
    load(&l, "buses: {}\nid: a\n");
    assert_int_equal(l.st, ST_OK);
    assert_int_equal(l.site.buses.n, 0);
    free_loaded(&l);
}

static void every_kind_refuses_what_it_is_not(void **state)
{
    (void)state;
    EXPECT("id: a b\n", "1:5: id: \"a b\" is not an id: letters, digits, dot, dash and underscore, "
                        "a letter or digit first, at most 64");
    EXPECT("id: a\nname: ''\n", "2:7: name: must not be empty");
    EXPECT("id: a\nname: \"x\\ny\"\n", "2:7: name: must be one line without control characters");
    EXPECT("id: a\nname: \"x\\0y\"\n", "2:7: name: must not contain a NUL character");
    EXPECT("id: a\nname: ~\n", "2:7: name: has no value");
    EXPECT("id: a\nname: [x]\n", "2:7: name: must be one value, not a list");
    EXPECT("id: a\non: yes\n", "2:5: on: \"yes\" is not true or false");
    EXPECT("id: a\nsize: 2GB\n", "2:7: size: \"2GB\" is not a size: a whole number and KiB, MiB or "
                                 "GiB, such as 64MiB");
    EXPECT("id: a\nsize: 1023\n", "2:7: size: \"1023\" is out of range: 1KiB to 976562500KiB");
    EXPECT("id: a\nsize: 99999999999GiB\n",
           "2:7: size: \"99999999999GiB\" is not a size: a whole number and KiB, MiB or GiB, such "
           "as 64MiB");
    EXPECT("id: a\ndata: 500MiB\n",
           "2:7: data: \"500MiB\" is not an amount of data: a whole number "
           "and MB or GB, such as 500MB");
    EXPECT("id: a\ndata: 0MB\n", "2:7: data: \"0MB\" is out of range: 1MB to 1000GB");
    EXPECT("id: a\nkeep: 60\n", "2:7: keep: \"60\" is not a time: a whole number and ms, s, min, h "
                                "or d, such as 10s");
    EXPECT("id: a\nfiles: {x: y}\n", "2:8: files: must be a list: [a, b]");
    EXPECT("id: a\nfiles: [x, {y: z}]\n", "2:12: files: must be one value, not a map");
    EXPECT("id: a\nnumbers: [1, 2.5, 65536]\n", "2:14: numbers: \"2.5\" is not a whole number",
           "2:19: numbers: \"65536\" is out of range: 0 to 65535");
    EXPECT("id: a\nplace: {lat: 91, lon: 1e1}\n", "2:14: lat: \"91\" is out of range: -90 to 90",
           "2:23: lon: \"1e1\" is not a decimal number such as -0.05 (no exponent)");
    EXPECT("id: a\nplace: {lat: 1}\n", "2:1: \"lon\" is missing");
    EXPECT("id: a\nplace: 5\n", "2:8: place: must be a map of keys and values");
    EXPECT("id: a\nbuses: [x]\n", "2:8: buses: must be a map of ids, each with its own keys");
    EXPECT(
        "id: a\nbuses: {b!: {port: x}}\n",
        "2:9: buses: \"b!\" is not an id: letters, digits, dot, dash and underscore, a letter or "
        "digit first, at most 64");
    EXPECT("id: a\nbuses: {b: {baud: 1}}\n", "2:9: \"port\" is missing: the serial port",
           "2:19: baud: \"1\" is out of range: 300 to 115200");
    EXPECT("id: a\nbuses: {b: {port: x, timeout: 2min}}\n",
           "2:31: timeout: \"2min\" is out of range: 10ms to 1min");
    EXPECT("id: a\nbuses: {b: {port: x, parity: evn}}\n",
           "2:30: parity: unknown word \"evn\"; did you mean \"even\"?");
    EXPECT("id: a\nbuses: {b: {port: x, parity: mark}}\n",
           "2:30: parity: unknown word \"mark\"; known are: none, even");
    EXPECT("id: a\npoints: {a: b}\n", "2:9: points: must be a list of items");
    EXPECT("id: a\npoints: [{name: p, scale: x}]\n",
           "2:27: scale: \"x\" is not a decimal number such as -0.05 (no exponent)");
    EXPECT("id: a\npoints: [{name: p, valid: [2, 1]}, {name: q, valid: 3}]\n",
           "2:27: valid: min is larger than max", "2:53: valid: must be [min, max]");
}

static void all_mistakes_come_in_one_run_in_file_order(void **state)
{
    (void)state;
    EXPECT("nmae: x\n"
           "on: maybe\n"
           "buses:\n"
           "  one: {prt: /dev/x, bauds: 5}\n"
           "zzzzzz: 1\n"
           "place: {lat: 1, lon: 500}\n",
           "1:1: \"id\" is missing", "1:1: unknown key \"nmae\"; did you mean \"name\"?",
           "2:5: on: \"maybe\" is not true or false", "4:3: \"port\" is missing: the serial port",
           "4:9: unknown key \"prt\"; did you mean \"port\"?",
           "4:22: unknown key \"bauds\"; did you mean \"baud\"?",
           "5:1: unknown key \"zzzzzz\"; known are: id, name, on, size, data, keep, files, "
           "numbers, place, "
           "buses, points",
           "6:22: lon: \"500\" is out of range: -180 to 180");
}

static void repeated_keys_are_refused(void **state)
{
    (void)state;
    EXPECT("id: a\nname: x\nid: b\n", "3:1: \"id\" stands here again; the first is in line 1");
    EXPECT("id: a\nbuses:\n  one: {port: x}\n  one: {port: y}\n",
           "4:3: \"one\" stands here again; the first is in line 3");
}

static void yaml_beyond_plain_data_is_refused(void **state)
{
    (void)state;
    EXPECT("id: &x a\nname: *x\n", "1:8: anchors (&name) are not supported; write the value out");
    EXPECT("id: a\nname: *x\n", "2:8: aliases (*name) are not supported; write the value out");
    EXPECT("id: a\nname: !!str x\n", "2:13: tags (!name) are not supported; write the plain value");
    EXPECT("id: a\nplace: {<<: {lat: 1}}\n", "2:9: merge keys are not supported; write it out");
    EXPECT("id: a\n? [x]\n: b\n", "2:3: a key must be a plain word");
    EXPECT("id: a\n---\nid: b\n", "2:1: a second document (---) is not supported");
    EXPECT("%YAML 1.1\n---\nid: a\n", "1:1: directives (%NAME) are not supported; leave it out");
    EXPECT("", "1:1: the file is empty");
    EXPECT("- a\n", "1:1: must be a map of keys and values");
    EXPECT("a: [[[[[[[[1]]]]]]]]\n", "1:11: nested more than 8 levels deep");
}

static void broken_yaml_says_where(void **state)
{
    (void)state;
    static const char *const bad[] = {"id: a\nname: [x\n",   "id: a\n\tname: b\n", "id: \"a\n",
                                      "id: a\nname: x: y\n", "id: \xff\n",         "id: a\n}\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct loaded l;
        int line = 0, col = 0;
        load(&l, bad[i]);
        assert_int_equal(l.st, ST_BAD);
        assert_true(l.n >= 1);
        assert_memory_equal(l.text, l.path, strlen(l.path));
        assert_int_equal(sscanf(l.text + strlen(l.path), ":%d:%d: not valid YAML", &line, &col), 2);
        assert_true(line >= 1 && line <= 3 && col >= 1);
        free_loaded(&l);
    }
}

static void only_clean_text_is_parsed(void **state)
{
    (void)state;
    EXPECT("id: a\nname: \xe1\xbb\x87\xff\n", "2:8: not valid YAML: not UTF-8 text (byte 0xff)");
    EXPECT("id: \xc0\x80\n", "1:5: not valid YAML: not UTF-8 text (byte 0xc0)");
    EXPECT("id: \xed\xa0\x80\n", "1:5: not valid YAML: not UTF-8 text (byte 0xed)");
    EXPECT("id: a\r\nname: \x01\n", "2:7: not valid YAML: a control character (0x01)");
    EXPECT("id: a\nname: \xe1\xbb", "2:7: not valid YAML: not UTF-8 text (byte 0xe1)");
    EXPECT("id: a\nname: phường Trà Câu \xf0\x9f\x8c\xb1\n");
}

static void files_that_cannot_be_read_say_why(void **state)
{
    (void)state;
    struct site s;
    struct cfg *c;
    struct err e = {0};
    assert_int_equal(cfg_load_struct(&c, "/nonexistent/x.yaml", &site_table, &s, &e), ST_NOT_FOUND);
    assert_string_equal(e.text,
                        "/nonexistent/x.yaml:1:1: cannot be read: No such file or directory");
    cfg_free(c);
    assert_int_equal(cfg_load_struct(&c, "/", &site_table, &s, &e), ST_IO);
    cfg_free(c);

    struct loaded l;
    load_bytes(&l, "id: a\0b\n", 8);
    assert_int_equal(l.st, ST_BAD);
    free_loaded(&l);
    char *big = malloc(CFG_FILE_MAX_BYTES + 1);
    assert_non_null(big);
    memset(big, '#', CFG_FILE_MAX_BYTES + 1);
    load_bytes(&l, big, CFG_FILE_MAX_BYTES + 1);
    free(big);
    assert_int_equal(l.st, ST_BAD);
    assert_non_null(strstr(l.text, "larger than 4 MiB"));
    free_loaded(&l);
}

static void sections_are_kept_apart(void **state)
{
    (void)state;
    struct loaded l = {0};
    struct place place;
    struct cfg_items buses;
    const char yaml[] = "plcae: {}\nbuses:\n  one: {port: x}\nweb: {anything: [1]}\n";
    write_file(&l, yaml, strlen(yaml));
    const struct cfg_section sections[] = {{"place", &place_table, &place, false, false},
                                           {"buses", &bus_table, &buses, true, false},
                                           {.key = NULL}};
    const char *const ignore[] = {"web", NULL};
    assert_int_equal(cfg_load(&l.cfg, l.path, sections, ignore, NULL), ST_BAD);
    char want[400];
    (void)snprintf(want, sizeof(want),
                   "%s:1:1: section \"place:\" is missing; it needs \"lat\"\n"
                   "%s:1:1: unknown key \"plcae\"; did you mean \"place\"?\n",
                   l.path, l.path);
    assert_int_equal(cfg_complaints(l.cfg, &l.text), 2);
    assert_string_equal(l.text, want);
    assert_int_equal(buses.n, 1);
    free_loaded(&l);
}

/* Maps and lists whose items are values, and maps of such maps. */
struct number {
    char *id;
    struct num value;
};
struct numbers {
    char *id;
    struct cfg_items numbers;
};
struct values {
    struct cfg_items map, list, deep;
};
static const struct cfg_field number_fields[] = {
    {.key = CFG_WHOLE, .kind = CFG_DECIMAL, .offset = offsetof(struct number, value)},
    {.key = NULL}};
static const struct cfg_table number_table = {sizeof(struct number), number_fields};
static const struct cfg_field strings_fields[] = {{.key = CFG_WHOLE, .kind = CFG_STRINGS},
                                                  {.key = NULL}};
static const struct cfg_table strings_table = {sizeof(struct cfg_strings), strings_fields};
static const struct cfg_field numbers_fields[] = {
    {CFG_WHOLE, CFG_MAP, offsetof(struct numbers, numbers), .sub = &number_table}, {.key = NULL}};
static const struct cfg_table numbers_table = {sizeof(struct numbers), numbers_fields};
static const struct cfg_field values_fields[] = {
    {"map", CFG_MAP, offsetof(struct values, map), .sub = &number_table},
    {"list", CFG_LIST, offsetof(struct values, list), .sub = &strings_table},
    {"deep", CFG_MAP, offsetof(struct values, deep), .sub = &numbers_table},
    {.key = NULL}};
static const struct cfg_table values_table = {sizeof(struct values), values_fields};

static void items_may_be_single_values(void **state)
{
    (void)state;
    struct loaded l = {0};
    struct values v;
    const char yaml[] = "map: {theta: -110, most: x, two: 2}\n"
                        "list: [[a, b], c, {d: 1}]\n"
                        "deep: {one: {theta: 0.5}, two: 7}\n";
    write_file(&l, yaml, strlen(yaml));
    assert_int_equal(cfg_load_struct(&l.cfg, l.path, &values_table, &v, NULL), ST_BAD);
    char want[800];
    (void)snprintf(want, sizeof(want),
                   "%s:1:26: most: \"x\" is not a decimal number such as -0.05 (no exponent)\n"
                   "%s:2:19: list: must be a list: [a, b]\n"
                   "%s:3:32: two: must be a map of ids, each with its own keys\n",
                   l.path, l.path, l.path);
    (void)cfg_complaints(l.cfg, &l.text);
    assert_string_equal(l.text, want);
    const struct number *n = v.map.v;
    const struct cfg_strings *s = v.list.v;
    const struct numbers *d = v.deep.v;
    assert_int_equal(v.map.n, 3);
    assert_string_equal(n[0].id, "theta");
    assert_true(num_cmp(n[0].value, num_dec(-110, 0)) == 0);
    assert_int_equal(s[0].n, 2);
    assert_string_equal(s[0].v[1], "b");
    assert_int_equal(s[1].n, 1); /* one value is a list of one */
    assert_int_equal(d[0].numbers.n, 1);
    n = d[0].numbers.v;
    assert_true(num_cmp(n[0].value, num_dec(5, -1)) == 0);
    assert_int_equal(cfg_line(l.cfg, &n[0].value), 3);
    free_loaded(&l);
}

static void an_item_that_is_no_map_has_its_defaults(void **state)
{
    (void)state;
    struct loaded l;
    load(&l, "id: a\nbuses: {one: 1}\npoints: [x, {name: y}]\n");
    assert_int_equal(l.n, 2);
    const struct bus *b = l.site.buses.v;
    const struct point *p = l.site.points.v;
    assert_int_equal(l.site.buses.n, 1);
    assert_string_equal(b[0].id, "one");
    assert_string_equal(b[0].port, "");
    assert_int_equal(b[0].baud, 9600);
    assert_string_equal(p[0].name, "");
    assert_string_equal(p[1].name, "y");
    free_loaded(&l);
}

static void later_checks_complain_at_the_right_place(void **state)
{
    (void)state;
    struct loaded l;
    load(&l, "id: a\n"
             "files: [x, y]\n"
             "buses:\n"
             "  one: {port: x, baud: 1}\n"
             "  two: {baud: 300}\n");
    assert_int_equal(l.n, 2);
    const struct bus *b = l.site.buses.v;
    cfg_complain(l.cfg, &b[0].port, "no such port \"%s\"", b[0].port);
    cfg_complain(l.cfg, &b[0].parity, "parity does not fit"); /* default: the item's place */
    cfg_complain(l.cfg, &l.site.files.v[1], "no file");
    cfg_complain(l.cfg, &b[0].baud, "never shown: it is wrong already");
    assert_string_equal(b[1].port, ""); /* required and missing: never NULL */
    cfg_complain(l.cfg, &b[1].port, "never shown either");
    cfg_complain(l.cfg, NULL, "of the file\nas such");
    char want[800];
    (void)snprintf(want, sizeof(want),
                   "%s:1:1: of the file as such\n"
                   "%s:2:12: no file\n"
                   "%s:4:3: parity does not fit\n"
                   "%s:4:15: no such port \"x\"\n"
                   "%s:4:24: baud: \"1\" is out of range: 300 to 115200\n"
                   "%s:5:3: \"port\" is missing: the serial port\n",
                   l.path, l.path, l.path, l.path, l.path, l.path);
    assert_int_equal(cfg_complaints(l.cfg, &l.text), 6);
    assert_string_equal(l.text, want);
    free_loaded(&l);
}

static void complaints_are_bounded(void **state)
{
    (void)state;
    char yaml[8000];
    size_t n = (size_t)snprintf(yaml, sizeof(yaml), "id: a\n");
    for (int i = 0; i < 500; i++) {
        n += (size_t)snprintf(yaml + n, sizeof(yaml) - n, "x%d: 1\n", i);
    }
    struct loaded l;
    load(&l, yaml);
    assert_int_equal(l.n, 500);
    assert_non_null(strstr(l.text, ": 300 more mistakes are not shown\n"));
    free_loaded(&l);
}

static void nearest_is_near(void **state)
{
    (void)state;
    static const char *const list[] = {"temperature", "pm10", "pm25", "humidity"};
    assert_string_equal(cfg_nearest("temprature", list, 4), "temperature");
    assert_string_equal(cfg_nearest("pm52", list, 4), "pm25");
    assert_string_equal(cfg_nearest("Humidity", list, 4), "humidity");
    assert_null(cfg_nearest("voltage", list, 4));
    assert_null(cfg_nearest("x", NULL, 0));
    char longer[300];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_null(cfg_nearest(longer, list, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_are_read_exactly),
        cmocka_unit_test(an_empty_map_may_come_first),
        cmocka_unit_test(every_kind_refuses_what_it_is_not),
        cmocka_unit_test(all_mistakes_come_in_one_run_in_file_order),
        cmocka_unit_test(repeated_keys_are_refused),
        cmocka_unit_test(yaml_beyond_plain_data_is_refused),
        cmocka_unit_test(broken_yaml_says_where),
        cmocka_unit_test(only_clean_text_is_parsed),
        cmocka_unit_test(files_that_cannot_be_read_say_why),
        cmocka_unit_test(sections_are_kept_apart),
        cmocka_unit_test(items_may_be_single_values),
        cmocka_unit_test(an_item_that_is_no_map_has_its_defaults),
        cmocka_unit_test(later_checks_complain_at_the_right_place),
        cmocka_unit_test(complaints_are_bounded),
        cmocka_unit_test(nearest_is_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
