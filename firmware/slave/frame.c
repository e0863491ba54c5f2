/* The framer. */
#include "firmware/slave/frame.h"

#define FIXED_ABOVE 19200U /* bit/s */

static uint32_t time_of(const struct frame_line *as, uint32_t tenths)
{
    return (as->bits * tenths * 100000U + as->baud - 1) / as->baud;
}

void frame_open(struct frame *f, const struct frame_line *as, uint8_t address)
{
    bool fixed = as->baud > FIXED_ABOVE || as->by_content;
    f->n = f->run = f->whole = 0;
    f->by_content = as->by_content;
    f->spoilt = false;
    f->address = address;
    f->char_us = as->bits * 1000000U / as->baud;
    f->t15_us = fixed ? as->t15_us : time_of(as, 15);
    f->t35_us = fixed ? as->t35_us : time_of(as, 35);
}

bool frame_hearing(const struct frame *f)
{
    return f->run > 0;
}

bool frame_ended(const struct frame *f, uint32_t until_us)
{
    return f->run > 0 && (int32_t)(until_us - f->last_us) >= (int32_t)f->t35_us;
}

/* The length of the request that ends with the newest byte; 0: none does. */
static uint16_t request_at_tail(const struct frame *f)
{
    const uint8_t *end = f->byte + f->n;
    for (unsigned n = SLAVE_FRAME_MIN; n <= f->n; n++) {
        uint8_t to = *(end - n); /* looked at first: this is done for each byte that is heard */
        if ((to == f->address || to == SLAVE_ALL) && slave_is_request(end - n, n, f->address))
            return (uint16_t)n;
    }
    return 0;
}

static bool put_by_content(struct frame *f, uint8_t byte)
{
    if (f->n == sizeof f->byte) { /* what is oldest goes */
        for (unsigned i = 1; i < sizeof f->byte; i++)
            f->byte[i - 1] = f->byte[i];
        f->n--;
    }
    f->byte[f->n++] = byte;
    if (f->run < f->n)
        f->run++;
    f->whole = request_at_tail(f);
    return f->whole > 0;
}

bool frame_put(struct frame *f, uint8_t byte, uint32_t at_us, bool flaw)
{
    uint32_t silence = at_us - f->char_us - f->last_us;
    bool gap = f->run > 0 && (int32_t)silence > (int32_t)f->t15_us;
    f->last_us = at_us;
    if (flaw)
        f->flaws++;
    if (f->by_content) {
        if (flaw)
            f->n = f->run = 0;
        return !flaw && put_by_content(f, byte);
    }
    if (gap && !f->spoilt)
        f->flaws++;
    if (flaw || gap || f->n == sizeof f->byte)
        f->spoilt = true;
    else
        f->byte[f->n++] = byte;
    f->run = 1;
    return false;
}

size_t frame_take(struct frame *f, uint8_t **p)
{
    size_t n = f->n;
    *p = f->byte;
    if (f->by_content) {
        n = f->whole > 0 ? f->whole : f->run;
        *p = f->byte + f->n - n;
    }
    bool good = !f->spoilt && slave_whole(*p, n);
    if (!good && !f->spoilt && n >= SLAVE_FRAME_MIN && (!f->by_content || **p == f->address))
        f->crc_errors++;
    if (good || !f->by_content)
        f->n = 0;
    f->run = f->whole = 0;
    f->spoilt = false;
    return good ? n : 0;
}
