/* What keeps the city from being reached: one table of causes, and how they are told apart. */
#include "gateway/connectivity/path_int.h"

#include "gateway/connectivity/modem_int.h"

const struct connectivity_cause_kind connectivity_causes[CONNECTIVITY_PATH_STATES] = {
    [CONNECTIVITY_PATH_UP] = {"", NULL, ""},
    [CONNECTIVITY_PATH_LINK] = {"local link", "path_link",
                                "the city is not reached: this box's own link is down; check the "
                                "cable, the plug and the other end"},
    [CONNECTIVITY_PATH_RADIO] = {"radio", "path_radio",
                                 "the city is not reached: the modem is not registered with a "
                                 "network; see the modem, its antennas and its SIM card"},
    [CONNECTIVITY_PATH_OPERATOR] = {"operator", "path_operator",
                                    "the city is not reached: the link is up, but nothing comes "
                                    "through it; restart the router, then ask the operator"},
    [CONNECTIVITY_PATH_DNS] = {"DNS", "path_dns",
                               "the city is not reached: its name is not found; check the DNS "
                               "servers of this box and the name in url"},
    [CONNECTIVITY_PATH_CITY] = {"city", "path_city",
                                "the city is not reached: the network works, and the city's server "
                                "does not answer; tell the city"},
    [CONNECTIVITY_PATH_PORTAL] = {"portal", "path_portal",
                                  "the city is not reached: something else answers in its place, a "
                                  "sign-in page, the operator's page or a proxy; sign in to this "
                                  "network, buy data, or use another"},
};

void connectivity_path_modem(struct connectivity_seen *s, int state)
{
    s->no_data = state == CONNECTIVITY_MODEM_NO_DATA;
    s->radio_lost =
        (state >= CONNECTIVITY_MODEM_SIM_MISSING && state <= CONNECTIVITY_MODEM_EMERGENCY) ||
        (state == CONNECTIVITY_MODEM_GONE && s->link_down);
}

bool connectivity_path_undated(enum st st, const struct http_reply *r, enum clk_grade grade)
{
    return st == ST_CORRUPT && r->cert.to_ms != 0 && grade == CLK_UNKNOWN;
}

bool connectivity_large_lost(bool before, int64_t large_us, int64_t plain_us)
{
    return large_us < 0 && (before || plain_us >= 0);
}

/* What is nearer to the box comes first: what is behind it cannot be seen. */
enum connectivity_cause connectivity_path_judge(const struct connectivity_seen *s)
{
    bool dead = s->beyond == CONNECTIVITY_BEYOND_DEAD;
    const struct {
        bool is;
        enum connectivity_cause cause;
    } rules[] = {
        {s->stage == CONNECTIVITY_STAGE_DONE, CONNECTIVITY_PATH_UP},
        {s->no_data, CONNECTIVITY_PATH_PORTAL},
        {s->radio_lost, CONNECTIVITY_PATH_RADIO},
        {s->link_down, CONNECTIVITY_PATH_LINK},
        {s->no_address, CONNECTIVITY_PATH_OPERATOR},
        {s->portal || s->stranger, CONNECTIVITY_PATH_PORTAL},
        {dead && s->stage <= CONNECTIVITY_STAGE_CONNECT &&
             !(s->bound && s->stage == CONNECTIVITY_STAGE_NAME),
         CONNECTIVITY_PATH_OPERATOR},
        {s->stage == CONNECTIVITY_STAGE_NAME, CONNECTIVITY_PATH_DNS},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].is)
            return rules[i].cause;
    return CONNECTIVITY_PATH_CITY;
}
