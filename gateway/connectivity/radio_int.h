/* Private to the connectivity room: what a modem's answers say of its radio. Pure: no input or
 * output, no memory, any thread.
 *
 * Sources: 3GPP TS 27.007 (CSQ, CESQ, CEREG, C5GREG, COPS, CPIN, CME ERROR), TS 38.133 and 36.133
 * (steps of CESQ), TS 38.104 and 36.101 (channel numbers); Quectel's manuals of RM5xxQ, RG520N and
 * RM520N and captures of real modems for QENG, QCSQ, QNWINFO, QTEMP and QCCID.
 *
 * Of the subscriber nothing is kept but the last four digits of the SIM card's number, for the
 * page of this box. */
#ifndef GATEWAY_CONNECTIVITY_RADIO_INT_H
#define GATEWAY_CONNECTIVITY_RADIO_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/base/num.h"

/* 3GPP's AcT: what the series `technology` says. */
enum connectivity_act {
    CONNECTIVITY_ACT_NONE = -1,
    CONNECTIVITY_ACT_GSM = 0,
    CONNECTIVITY_ACT_UTRAN = 2,
    CONNECTIVITY_ACT_LTE = 7,
    CONNECTIVITY_ACT_SA = 11, /* NR at a 5G core */
    CONNECTIVITY_ACT_NGRAN = 12,
    CONNECTIVITY_ACT_ENDC = 13, /* LTE with NR beside it */
    CONNECTIVITY_ACT_MAX = 15
};
/* "LTE", "5G SA", "EN-DC", …; "" for none. */
const char *connectivity_act_text(int act);

enum connectivity_sim {
    CONNECTIVITY_SIM_UNKNOWN, /* the modem did not say */
    CONNECTIVITY_SIM_READY,
    CONNECTIVITY_SIM_MISSING,
    CONNECTIVITY_SIM_PIN,
    CONNECTIVITY_SIM_PUK,
    CONNECTIVITY_SIM_LOCK, /* the modem takes other SIM cards or networks only */
    CONNECTIVITY_SIM_BUSY, /* starting: ask again */
    CONNECTIVITY_SIM_FAULT
};

/* 3GPP's <stat> of CEREG and C5GREG. */
enum connectivity_stat {
    CONNECTIVITY_STAT_NONE = -1, /* not said */
    CONNECTIVITY_STAT_IDLE = 0,
    CONNECTIVITY_STAT_HOME = 1,
    CONNECTIVITY_STAT_SEARCHING = 2,
    CONNECTIVITY_STAT_DENIED = 3,
    CONNECTIVITY_STAT_ROAMING = 5,
    CONNECTIVITY_STAT_EMERGENCY = 8,
    CONNECTIVITY_STAT_MAX = 11
};

/* One radio cell that serves: each figure is NUM_NONE when there is none. */
struct connectivity_leg {
    struct num band, arfcn; /* the number of the channel, as this technology counts */
    struct num mhz;         /* of the channel, downlink; exact */
    struct num cell, tac;
    struct num rsrp, rsrq, sinr; /* dBm, dB, dB */
};
#define CONNECTIVITY_PLMN_BYTES 7
struct connectivity_radio {
    enum connectivity_sim sim;
    int lte_stat, nr_stat;    /* enum connectivity_stat */
    int act;                  /* as COPS, CEREG or C5GREG says: many say 7 while 5G is there, too */
    bool limited;             /* it camps on a cell that gives emergency calls only */
    bool nr_alone, nr_beside; /* QENG or QNWINFO names NR by itself, or beside LTE */
    char plmn[CONNECTIVITY_PLMN_BYTES]; /* MCC and MNC, 5 or 6 digits; "" */
    struct connectivity_leg lte, nr;
    struct num rssi, temperature; /* dBm; degrees Celsius of the modem */
    int ambient;                  /* how sure the temperature is, see quectel.c */
    char card[5];                 /* last four digits of the SIM card; "" */
};
void connectivity_radio_init(struct connectivity_radio *r);

/* Takes one line of an answer, or an unsolicited one; what it does not know, or what is out of its
 * range, changes nothing. Of two sources the finer one stands, in either order: QENG before CESQ
 * and QCSQ. */
void connectivity_radio_take(struct connectivity_radio *r, const char *line);

/* The better of both registrations. */
enum connectivity_stat connectivity_radio_stat(const struct connectivity_radio *r);
/* Registered for data, at home or roaming. */
bool connectivity_stat_good(int stat);
/* EN-DC and SA are told from LTE by NR's own signal as well: an AcT of 7 does not rule it out. */
enum connectivity_act connectivity_radio_act(const struct connectivity_radio *r);

/* MHz of a channel number; NUM_NONE for one that no band has. *band (may be NULL): of LTE's, where
 * the number says it. */
struct num connectivity_nr_mhz(int64_t arfcn);
struct num connectivity_lte_mhz(int64_t earfcn, int64_t *band);

/* ---- for the parsers' own files ------------------------------------------------------------ */

/* One field of a line, without its quotes; a view. */
struct connectivity_field {
    const char *p;
    size_t n;
    bool quoted;
};
#define CONNECTIVITY_FIELDS_MAX 24
/* Splits at commas outside of quotes; what is beyond the most is left off. Returns how many. */
size_t connectivity_fields(const char *text, struct connectivity_field f[CONNECTIVITY_FIELDS_MAX]);
bool connectivity_field_is(const struct connectivity_field *f, const char *word);
/* A whole decimal number within [min, max]. */
bool connectivity_field_int(const struct connectivity_field *f, int64_t min, int64_t max,
                            int64_t *out);
#define CONNECTIVITY_CELL_DIGITS 9 /* 36 bits (NR); LTE has 28 */
#define CONNECTIVITY_TAC_DIGITS 6  /* 24 bits (NR); LTE has 16 */
/* Hexadecimal, at most `digits` of them. NUM_NONE when it is none, or all ones (not known). */
struct num connectivity_field_hex(const struct connectivity_field *f, size_t digits);
/* 3 digits and 2 or 3; else false, and out stays. _text: both as one text. */
bool connectivity_plmn_set(char out[CONNECTIVITY_PLMN_BYTES], const char *mcc, size_t mcc_n,
                           const char *mnc, size_t mnc_n);
bool connectivity_plmn_text(char out[CONNECTIVITY_PLMN_BYTES], const char *p, size_t n);
/* What follows the prefix and blanks; NULL: another line. */
const char *connectivity_after(const char *line, const char *prefix);
/* The same for Quectel's lines; false when it is none of them. */
bool connectivity_quectel_take(struct connectivity_radio *r, const char *line);

#endif
