/* The line with its driver, and the sensors' UARTs. */
#include "firmware/mcu/cortexm/cortexm.h"
#include "firmware/mcu/ring.h"
#include "firmware/mcu/stm32f1/stm32f1.h"
#include "firmware/mcu/stm32f1/stm32f1_int.h"
#include "firmware/port.h"

#define FLAWS (USART_SR_PE | USART_SR_FE | USART_SR_NE | USART_SR_ORE)
#define DE 8U /* of GPIOA */

/* ---- the line ---- */

static struct ring_line line;
static struct {
    uint8_t bytes[256];
    volatile uint16_t n, at;
    volatile bool driving;
} out;

void port_line_open(const struct port_line *as)
{
    cortexm_mask();
    USART1->CR1 = 0;
    GPIOA->BRR = 1U << DE;
    GPIOA->BSRR = 1U << 10; /* pulled up: a MAX3485's output floats while it sends */
    stm32f1_pin(GPIOA, DE, STM32F1_OUTPUT);
    stm32f1_pin(GPIOA, 9, STM32F1_ALTERNATE);
    stm32f1_pin(GPIOA, 10, STM32F1_PULLED);
    out.n = out.at = 0;
    out.driving = false;
    USART1->BRR = (STM32F1_CLOCK_HZ + as->baud / 2) / as->baud;
    USART1->CR2 = as->stop_bits == 2 ? USART_CR2_STOP_2 : 0;
    uint32_t parity = as->parity == 0 ? 0 : USART_CR1_M | USART_CR1_PCE;
    if (as->parity == 2)
        parity |= USART_CR1_PS;
    ring_line_drop(&line);
    USART1->CR1 = USART_CR1_UE | USART_CR1_TE | USART_CR1_RE | USART_CR1_RXNEIE | parity;
    cortexm_enable(STM32F1_IRQ_USART1);
    cortexm_unmask();
}

/* Gives what there is room for, and lets the line go behind the last stop bit. Called by the
 * interrupt, and by the loop, for an emulator that has no interrupt of the transmitter's. */
static void pump(void)
{
    if (!out.driving)
        return;
    while (out.at < out.n && (USART1->SR & USART_SR_TXE) != 0)
        USART1->DR = out.bytes[out.at++];
    if (out.at < out.n)
        return;
    if ((USART1->SR & USART_SR_TC) != 0) {
        GPIOA->BRR = 1U << DE;
        out.driving = false;
        USART1->CR1 &= ~(USART_CR1_TXEIE | USART_CR1_TCIE);
    } else {
        USART1->CR1 = (USART1->CR1 & ~USART_CR1_TXEIE) | USART_CR1_TCIE;
    }
}

void stm32f1_usart1(void)
{
    uint32_t sr = USART1->SR;
    if (sr & (USART_SR_RXNE | USART_SR_ORE)) /* reading SR, then DR, takes the flaws back */
        ring_line_put(&line, (uint8_t)USART1->DR, port_us(), (sr & FLAWS) != 0);
    pump();
}

bool stm32f1_line_waiting(void)
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
    out.at = 0;
    out.driving = true;
    GPIOA->BSRR = 1U << DE;
    USART1->CR1 |= USART_CR1_TXEIE;
    pump();
    cortexm_unmask();
}

bool port_line_sending(void)
{
    cortexm_mask();
    pump();
    cortexm_unmask();
    return out.driving;
}

/* ---- sensors ---- */

static struct sensor_line {
    volatile struct stm32f1_usart *usart;
    unsigned interrupt;
    struct ring_bytes in;
    struct ring_command out;
} sensors[2] = {
    {.usart = USART2, .interrupt = STM32F1_IRQ_USART2},
    {.usart = USART3, .interrupt = STM32F1_IRQ_USART3},
};

void stm32f1_uart_start(unsigned n, uint32_t baud)
{
    volatile struct stm32f1_gpio *port = n == 2 ? GPIOA : GPIOB;
    unsigned tx = n == 2 ? 2 : 10;
    port->BSRR = 1U << (tx + 1);
    stm32f1_pin(port, tx, STM32F1_ALTERNATE);
    stm32f1_pin(port, tx + 1, STM32F1_PULLED);
    const struct sensor_line *s = &sensors[n - 2];
    s->usart->BRR = (STM32F1_CLOCK_HZ + baud / 2) / baud;
    s->usart->CR1 = USART_CR1_UE | USART_CR1_TE | USART_CR1_RE | USART_CR1_RXNEIE;
    cortexm_enable(s->interrupt);
}

static void serve(struct sensor_line *s)
{
    uint32_t sr = s->usart->SR;
    if (sr & (USART_SR_RXNE | USART_SR_ORE)) {
        uint8_t byte = (uint8_t)s->usart->DR;
        if ((sr & (USART_SR_FE | USART_SR_NE)) == 0)
            ring_bytes_put(&s->in, byte);
    }
    uint8_t byte;
    while ((s->usart->SR & USART_SR_TXE) != 0 && ring_command_next(&s->out, &byte))
        s->usart->DR = byte;
    if (s->out.at >= s->out.n)
        s->usart->CR1 &= ~USART_CR1_TXEIE;
}

void stm32f1_usart2(void)
{
    serve(&sensors[0]);
}

void stm32f1_usart3(void)
{
    serve(&sensors[1]);
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
        s->usart->CR1 |= USART_CR1_TXEIE;
    cortexm_unmask();
    return room ? ST_OK : ST_BUSY;
}

const struct sensor_uart stm32f1_uarts[2] = {
    {take, give, &sensors[0]},
    {take, give, &sensors[1]},
};
