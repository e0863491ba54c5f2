/* The states of a modem: one table. */
#include "gateway/connectivity/modem_int.h"

const struct connectivity_kind connectivity_modem_kinds[CONNECTIVITY_MODEM_STATES] = {
    [CONNECTIVITY_MODEM_READY] = {STORE_GOOD, false, NULL, NULL, ""},
    [CONNECTIVITY_MODEM_GONE] = {STORE_FAULTY, true, "modem.gone", "modem_silent",
                                 "there is no modem at its port: check its plug and power, and "
                                 "`port` (see ls /dev/serial/by-id)"},
    [CONNECTIVITY_MODEM_BUSY] = {STORE_FAULTY, true, "modem.busy", "modem_silent",
                                 "another program has the modem's port: end it, or let it leave "
                                 "this port alone (ModemManager: ID_MM_PORT_IGNORE)"},
    [CONNECTIVITY_MODEM_SILENT] = {STORE_SILENT, false, "modem.silent", "modem_silent",
                                   "the modem does not answer: is it the port for AT commands? "
                                   "Then switch it off and on"},
    [CONNECTIVITY_MODEM_ODD] = {STORE_FAULTY, false, "modem.odd", "modem_silent",
                                "the modem answers, but says nothing of a network: is it one for "
                                "LTE or 5G, and is its radio on (AT+CFUN=1)?"},
    [CONNECTIVITY_MODEM_SIM_MISSING] = {STORE_FAULTY, false, "sim.missing", "sim_missing",
                                        "the modem has no SIM card: put it in, contacts down, and "
                                        "switch the modem off and on"},
    [CONNECTIVITY_MODEM_SIM_PIN] = {STORE_FAULTY, false, "sim.pin", "sim_locked",
                                    "the SIM card asks for its PIN: take the PIN off in a phone"},
    [CONNECTIVITY_MODEM_SIM_PUK] = {STORE_FAULTY, false, "sim.puk", "sim_locked",
                                    "the SIM card is blocked and asks for its PUK: ask the "
                                    "operator, and take the PIN off in a phone"},
    [CONNECTIVITY_MODEM_SIM_LOCK] = {STORE_FAULTY, false, "sim.lock", "sim_locked",
                                     "the modem takes SIM cards of another operator only: use one "
                                     "of that, or have the modem unlocked"},
    [CONNECTIVITY_MODEM_SIM_FAULT] = {STORE_FAULTY, false, "sim.fault", "sim_missing",
                                      "the SIM card cannot be read: clean its contacts, put it in "
                                      "again, or have it changed"},
    [CONNECTIVITY_MODEM_SEARCHING] = {STORE_FAULTY, false, "modem.searching", "modem_searching",
                                      "the modem finds no network: check the antennas and their "
                                      "plugs, and the coverage here"},
    [CONNECTIVITY_MODEM_DENIED] = {STORE_FAULTY, false, "modem.denied", "modem_denied",
                                   "the operator denies this SIM card: ask whether it is active "
                                   "and allowed in this device"},
    [CONNECTIVITY_MODEM_EMERGENCY] = {STORE_FAULTY, false, "modem.emergency", "modem_denied",
                                      "the network gives this SIM card emergency calls only: ask "
                                      "the operator whether it is active"},
    [CONNECTIVITY_MODEM_NO_DATA] = {STORE_FAULTY, false, "sim.no_data", "sim_no_data",
                                    "the SIM card has no data left: the operator's page answers "
                                    "in the city's place; buy data for it"},
};

enum connectivity_modem_state connectivity_modem_judge(const struct connectivity_radio *r)
{
    static const enum connectivity_modem_state of_sim[] = {
        [CONNECTIVITY_SIM_MISSING] = CONNECTIVITY_MODEM_SIM_MISSING,
        [CONNECTIVITY_SIM_PIN] = CONNECTIVITY_MODEM_SIM_PIN,
        [CONNECTIVITY_SIM_PUK] = CONNECTIVITY_MODEM_SIM_PUK,
        [CONNECTIVITY_SIM_LOCK] = CONNECTIVITY_MODEM_SIM_LOCK,
        [CONNECTIVITY_SIM_FAULT] = CONNECTIVITY_MODEM_SIM_FAULT};
    enum connectivity_stat stat = connectivity_radio_stat(r);
    if (connectivity_stat_good(stat))
        return CONNECTIVITY_MODEM_READY;
    if ((size_t)r->sim < sizeof of_sim / sizeof *of_sim && of_sim[r->sim])
        return of_sim[r->sim];
    if (stat == CONNECTIVITY_STAT_DENIED)
        return CONNECTIVITY_MODEM_DENIED;
    if (stat == CONNECTIVITY_STAT_EMERGENCY || r->limited)
        return CONNECTIVITY_MODEM_EMERGENCY;
    bool nothing = stat == CONNECTIVITY_STAT_NONE && r->sim == CONNECTIVITY_SIM_UNKNOWN;
    return nothing ? CONNECTIVITY_MODEM_ODD : CONNECTIVITY_MODEM_SEARCHING;
}
