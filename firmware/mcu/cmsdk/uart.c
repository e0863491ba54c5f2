/* The line and the sensors' UARTs. */
#include "firmware/mcu/cmsdk/cmsdk.h"

#include "firmware/mcu/cmsdk/cmsdk_int.h"
#include "firmware/mcu/cortexm/cortexm.h"
#include "firmware/mcu/ring.h"
#include "firmware/port.h"

static struct ring_line line;
static struct {
    uint8_t bytes[256];
    uint16_t n;
    volatile uint16_t at;
} out;

/* ---- the line ---- */

void port_line_open(const struct port_line *as)
{
    CMSDK_UART0->CTRL = 0;
    CMSDK_UART0->BAUDDIV = CMSDK_CLOCK_HZ / as->baud;
    out.n = out.at = 0;
    ring_line_drop(&line);
    CMSDK_UART0->CTRL = CMSDK_CTRL_TX | CMSDK_CTRL_RX | CMSDK_CTRL_RXINT | CMSDK_CTRL_TXINT;
    cortexm_enable(CMSDK_IRQ_UART0_RX);
    cortexm_enable(CMSDK_IRQ_UART0_TX);
}

void cmsdk_uart0_rx(void)
{
    CMSDK_UART0->INTSTATUS = CMSDK_INT_RX;
    bool lost = (CMSDK_UART0->STATE & CMSDK_STATE_RXOVERRUN) != 0;
    if (lost)
        CMSDK_UART0->STATE = CMSDK_STATE_RXOVERRUN;
    ring_line_put(&line, (uint8_t)CMSDK_UART0->DATA, port_us(), lost);
}

/* The last byte was taken, and there is room for the next. */
void cmsdk_uart0_tx(void)
{
    CMSDK_UART0->INTSTATUS = CMSDK_INT_TX;
    if (out.at < out.n)
        CMSDK_UART0->DATA = out.bytes[out.at++];
}

bool cmsdk_line_waiting(void)
{
    return !ring_line_empty(&line);
}

bool port_line_get(uint8_t *byte, uint32_t *at_us, bool *flaw)
{
    return ring_line_get(&line, byte, at_us, flaw);
}

void port_line_send(const uint8_t *p, size_t n)
{
    if (n == 0 || n > sizeof out.bytes)
        return;
    cortexm_mask();
    for (size_t i = 0; i < n; i++)
        out.bytes[i] = p[i];
    out.n = (uint16_t)n;
    out.at = 1;
    CMSDK_UART0->DATA = out.bytes[0];
    cortexm_unmask();
}

bool port_line_sending(void)
{
    return out.at < out.n || (CMSDK_UART0->STATE & CMSDK_STATE_TXFULL) != 0;
}

/* ---- sensors ---- */

static struct sensor_line {
    volatile struct cmsdk_uart *uart;
    unsigned interrupt; /* of its receiver; the transmitter's is the next */
    struct ring_bytes in;
    struct ring_command out;
} sensors[2] = {
    {.uart = CMSDK_UART1, .interrupt = CMSDK_IRQ_UART1_RX},
    {.uart = CMSDK_UART2, .interrupt = CMSDK_IRQ_UART2_RX},
};

void cmsdk_uart_start(unsigned n, uint32_t baud)
{
    const struct sensor_line *s = &sensors[n - 1];
    s->uart->BAUDDIV = CMSDK_CLOCK_HZ / baud;
    s->uart->CTRL = CMSDK_CTRL_TX | CMSDK_CTRL_RX | CMSDK_CTRL_RXINT | CMSDK_CTRL_TXINT;
    cortexm_enable(s->interrupt);
    cortexm_enable(s->interrupt + 1);
}

static void received(struct sensor_line *s)
{
    s->uart->INTSTATUS = CMSDK_INT_RX;
    ring_bytes_put(&s->in, (uint8_t)s->uart->DATA);
}

static void send_next(struct sensor_line *s)
{
    uint8_t byte;
    if (ring_command_next(&s->out, &byte))
        s->uart->DATA = byte;
}

static void sent(struct sensor_line *s)
{
    s->uart->INTSTATUS = CMSDK_INT_TX;
    send_next(s);
}

void cmsdk_uart1_rx(void)
{
    received(&sensors[0]);
}

void cmsdk_uart1_tx(void)
{
    sent(&sensors[0]);
}

void cmsdk_uart2_rx(void)
{
    received(&sensors[1]);
}

void cmsdk_uart2_tx(void)
{
    sent(&sensors[1]);
}

static size_t take(void *ctx, uint8_t *p, size_t room)
{
    struct sensor_line *s = ctx;
    cortexm_mask();
    size_t n = ring_bytes_take(&s->in, p, room);
    cortexm_unmask();
    return n;
}

static enum st give(void *ctx, const uint8_t *p, size_t n)
{
    struct sensor_line *s = ctx;
    cortexm_mask();
    bool room = ring_command_put(&s->out, p, n);
    if (room)
        send_next(s);
    cortexm_unmask();
    return room ? ST_OK : ST_BUSY;
}

const struct sensor_uart cmsdk_uarts[2] = {
    {take, give, &sensors[0]},
    {take, give, &sensors[1]},
};
