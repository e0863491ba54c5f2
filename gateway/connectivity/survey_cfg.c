/* The configuration `connectivity.survey`. */
#include "gateway/connectivity/survey_int.h"

#include <string.h>
#include <strings.h>

#define SURVEY_FIELD(k, m) .key = (k), .offset = offsetof(struct connectivity_survey_cfg, m)
static const struct cfg_field survey_fields[] = {
    {SURVEY_FIELD("area", area), .kind = CFG_STRING,
     .help = "GeoJSON file with the ward's outline, longitude first"},
    {SURVEY_FIELD("cell", cell_m), .kind = CFG_INT, .dflt = "100", .min = 10, .max = 10000,
     .help = "side of a cell of the grid, in metres"},
    {SURVEY_FIELD("covered_by", covered_by), .kind = CFG_STRINGS,
     .help = "technologies that cover: lte, en-dc, sa; absent: en-dc and sa"},
    {SURVEY_FIELD("covered_rsrp", covered_dbm), .kind = CFG_INT, .dflt = "-110", .min = -156,
     .max = -31,
     .help = "RSRP in dBm from which on a sample is covered: ours, not an official one"},
    {SURVEY_FIELD("visited_min", visited_percent), .kind = CFG_INT, .dflt = "50", .min = 1,
     .max = 100, .help = "percent of the cells: where fewer were visited, no share is told"},
    {SURVEY_FIELD("gpsd", gpsd), .kind = CFG_STRING,
     .help = "address and port of gpsd, such as 127.0.0.1:2947, which tells where a walk is"},
    {SURVEY_FIELD("browser", browser), .kind = CFG_BOOL,
     .help = "a phone's browser may tell it, too, on the page; with neither the gateway does not "
             "walk"},
    {SURVEY_FIELD("every", every_ms), .kind = CFG_TIME, .dflt = "30s", .min = 30000, .max = 3600e3,
     .help = "time between samples"},
    {SURVEY_FIELD("interface", interface), .kind = CFG_STRING,
     .help = "network interface of the modem: whether data flows, its counters say"},
    {SURVEY_FIELD("transfer", transfer), .kind = CFG_STRING,
     .help = "plain http address that is fetched while the modem is asked; absent: only data of "
             "others counts"},
    {SURVEY_FIELD("sample_data", sample_bytes), .kind = CFG_DATA, .dflt = "1MB", .min = 1e6,
     .max = 100e6, .help = "what the transfers of one sample may take"},
    {SURVEY_FIELD("month_data", month_bytes), .kind = CFG_DATA, .dflt = "300MB", .min = 1e6,
     .max = 1e12, .help = "and those of a calendar month"},
    {SURVEY_FIELD("name", name), .kind = CFG_STRING, .help = "what people call it"},
    {SURVEY_FIELD("place", place), .kind = CFG_STRING, .help = "where it is used"},
    {.key = NULL}};
const struct cfg_table connectivity_survey_table = {sizeof(struct connectivity_survey_cfg),
                                                    survey_fields};

static void walk_check(struct cfg *c, const struct connectivity_survey_cfg *cfg, bool has_modem)
{
    const void *at = cfg->gpsd ? (const void *)&cfg->gpsd : &cfg->browser;
    struct connectivity_address a;
    if (cfg->gpsd && !connectivity_gps_address(cfg->gpsd, &a))
        cfg_complain(c, at, "gpsd %s: write an address and a port, such as 127.0.0.1:2947",
                     cfg->gpsd);
    if (!has_modem)
        cfg_complain(c, at, "a walk measures with the gateway's modem: add connectivity.modem");
    if (!cfg->interface)
        cfg_complain(c, at,
                     "a walk needs the modem's interface, whose counters say whether data flows");
}

void connectivity_survey_check(struct cfg *c, const struct connectivity_survey_cfg *cfg,
                               bool has_modem)
{
    static const char *const known[] = {"lte", "en-dc", "sa"};
    unsigned bit;
    for (size_t i = 0; i < cfg->covered_by.n; i++) {
        const char *word = cfg->covered_by.v[i], *near = cfg_nearest(word, known, 3);
        if (!connectivity_survey_word(word, &bit))
            cfg_complain(c, &cfg->covered_by,
                         "covered_by knows lte, en-dc and sa, not \"%s\"%s%s%s", word,
                         near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    if (cfg->interface)
        connectivity_interface_check(c, &cfg->interface);
    if (cfg->transfer && strncasecmp(cfg->transfer, "http://", 7) != 0)
        cfg_complain(c, &cfg->transfer,
                     "transfer %s: an address that begins with http://, whose answer nobody keeps",
                     cfg->transfer);
    if (cfg->month_bytes < cfg->sample_bytes)
        cfg_complain(c, &cfg->month_bytes, "month_data is less than sample_data");
    if (cfg->gpsd || cfg->browser)
        walk_check(c, cfg, has_modem);
}
