/* What a request takes of its line. */
#include "gateway/collect/collect_int.h"

/* Unit, function, address, count, CRC; unit, function, byte count, CRC. */
#define RTU_OUT_BYTES 8
#define RTU_BACK_BYTES 5
/* The same behind an MBAP head and without a CRC. */
#define TCP_OUT_BYTES 12
#define TCP_BACK_BYTES 9
/* Above 19200 baud the silence is fixed, so that interrupts can keep up. */
#define GAP_FIXED_ABOVE_BAUD 19200
#define GAP_FIXED_NS INT64_C(1750000)
/* Ethernet of 10 Mbit/s, the slowest in the field, and a round trip within a site. */
#define TCP_BYTE_NS INT64_C(800)
#define TCP_ROUND_TRIP_NS INT64_C(1000000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t byte_bits(const struct collect_bus_cfg *bus)
{
    return 1 + bus->data_bits + (bus->parity != 'N') + bus->stop_bits;
}

int64_t collect_line_gap_ns(const struct collect_bus_cfg *bus)
{
    int64_t baud = longer(bus->baud, 1); /* 0 is complained about elsewhere */
    if (baud > GAP_FIXED_ABOVE_BAUD)
        return GAP_FIXED_NS;
    return byte_bits(bus) * NS_PER_S * 7 / (2 * baud);
}

struct collect_line collect_line_make(const struct collect_bus_cfg *bus,
                                      const struct collect_profile *p, int64_t turnaround_ms)
{
    int64_t turn_ns = (turnaround_ms >= 0 ? turnaround_ms : p->turnaround_ms) * NS_PER_MS;
    int64_t pause_ns = p->pause_ms * NS_PER_MS;
    if (bus->type == COLLECT_TCP)
        return (struct collect_line){.byte_ns = TCP_BYTE_NS,
                                     .request_ns = TCP_ROUND_TRIP_NS + turn_ns + pause_ns +
                                                   (TCP_OUT_BYTES + TCP_BACK_BYTES) * TCP_BYTE_NS};
    struct collect_line l = {.byte_ns = byte_bits(bus) * NS_PER_S / longer(bus->baud, 1),
                             .gap_ns = collect_line_gap_ns(bus)};
    l.request_ns = (RTU_OUT_BYTES + RTU_BACK_BYTES) * l.byte_ns + turn_ns + l.gap_ns +
                   longer(l.gap_ns, pause_ns);
    return l;
}

int64_t collect_line_ns(const struct collect_line *l, unsigned function, unsigned count)
{
    return l->request_ns + l->byte_ns * (int64_t)(function <= 2 ? (count + 7) / 8 : 2 * count);
}
