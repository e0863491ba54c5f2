/* How the simulator puts a value into registers, and what exactly those registers then say.
 *
 * Written independently of gateway/collect: an order's name is itself the order (letter A is the
 * most significant byte), and the text comes from integer arithmetic of its own. Pure; any thread.
 */
#ifndef TESTS_SIM_ENCODE_H
#define TESTS_SIM_ENCODE_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/base/cfg.h"
#include "gateway/base/num.h"

enum sim_type {
    SIM_U16,
    SIM_S16,
    SIM_U32,
    SIM_S32,
    SIM_U64,
    SIM_S64,
    SIM_F32,
    SIM_F64,
    SIM_BIT,
    SIM_BCD16,
    SIM_BCD32,
    SIM_STRING
};
enum sim_order {
    SIM_ABCD,
    SIM_CDAB,
    SIM_BADC,
    SIM_DCBA,
    SIM_ABCDEFGH,
    SIM_GHEFCDAB,
    SIM_BADCFEHG,
    SIM_HGFEDCBA
};
extern const struct cfg_word sim_type_words[], sim_order_words[];

struct sim_spec {
    enum sim_type type;
    enum sim_order order;     /* the four letters stand for their 64-bit counterparts, too */
    struct num scale, offset; /* decimals; value = raw × scale + offset */
};

#define SIM_RAW_BYTES 8
/* Registers of one value; 0 for a string (its profile says) and a bit (which is no register). */
unsigned sim_regs(enum sim_type type);
/* The raw value nearest to `value`, held within the type's range, as big-endian bytes
 * (2 × sim_regs of them; one byte 0 or 1 for a bit). */
void sim_raw(const struct sim_spec *s, double value, uint8_t be[SIM_RAW_BYTES]);
/* Those bytes in the order of the wire. */
void sim_wire(const struct sim_spec *s, const uint8_t be[SIM_RAW_BYTES], uint8_t *wire);
/* The raw number as it stands in the register (u64 for all but signed types), for `no_value`. */
int64_t sim_raw_integer(const struct sim_spec *s, const uint8_t be[SIM_RAW_BYTES]);

/* What a reader of the registers must get, as exported: exact decimals, floats as the shortest
 * text that gives the same binary64, no exponent. "" when they hold no value (NaN, infinite, or
 * beyond 64 bits). Returns buf. */
#define SIM_TEXT_BYTES 400
const char *sim_text(const struct sim_spec *s, const uint8_t be[SIM_RAW_BYTES],
                     char buf[SIM_TEXT_BYTES]);

#endif
