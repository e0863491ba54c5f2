/* Supply, temperature, pulses, and the processor's own number. */
#include "firmware/mcu/cortexm/cortexm.h"
#include "firmware/mcu/stm32f1/stm32f1.h"
#include "firmware/mcu/stm32f1/stm32f1_int.h"
#include "firmware/port.h"
#include "sensors/node.h"

/* ---- ADC1: channel 17 is the reference of 1.20 V, 16 the thermometer (data sheet
 * of the STM32F100xB) */

#define FULL 4095U
#define REFERENCE_MV 1200U
#define AT_25_MV 1410
#define UV_PER_DC 430 /* 4.3 mV a degree, in microvolts a tenth of one */

static bool ready(void)
{
    if (ADC1->CR2 & ADC_CR2_ADON)
        return true;
    ADC1->CR2 = ADC_CR2_ADON | ADC_CR2_TSVREFE;
    if (!(ADC1->CR2 & ADC_CR2_ADON))
        return false;
    stm32f1_wait_us(10);
    ADC1->CR2 |= ADC_CR2_RSTCAL;
    if (!stm32f1_became(&ADC1->CR2, ADC_CR2_RSTCAL, 0))
        return false;
    ADC1->CR2 |= ADC_CR2_CAL;
    if (!stm32f1_became(&ADC1->CR2, ADC_CR2_CAL, 0))
        return false;
    ADC1->SMPR1 = 7U << 18 | 7U << 21; /* 239.5 cycles: both need 17 us */
    ADC1->CR2 |= ADC_CR2_EXTSEL_SWSTART | ADC_CR2_EXTTRIG;
    return true;
}

/* 0: there is none. 21 us. */
static uint32_t converted(uint32_t channel)
{
    if (!ready())
        return 0;
    ADC1->SQR3 = channel;
    ADC1->CR2 |= ADC_CR2_SWSTART;
    return stm32f1_became(&ADC1->SR, ADC_SR_EOC, ADC_SR_EOC) ? ADC1->DR & FULL : 0;
}

uint16_t port_supply_mv(void)
{
    uint32_t reference = converted(17);
    uint32_t mv = reference > 0 ? REFERENCE_MV * FULL / reference : NODE_UNKNOWN_U16;
    return (uint16_t)(mv < NODE_UNKNOWN_U16 ? mv : NODE_UNKNOWN_U16);
}

int16_t port_temperature_dc(void)
{
    uint32_t supply = port_supply_mv(), sense = converted(16);
    if (supply == NODE_UNKNOWN_U16 || sense == 0)
        return NODE_UNKNOWN_S16;
    int32_t mv = (int32_t)(sense * supply / FULL);
    return (int16_t)(250 + (AT_25_MV - mv) * 1000 / UV_PER_DC);
}

/* ---- pulses ---- */

#define PULSE_PINS ((1U << 8) | (1U << 9))
#define DEAD_MS 20U /* S0 (EN 62053-31): 30 ms high, 30 ms low at least */

static struct pulse_input {
    volatile uint32_t count;
    uint32_t last_ms;
} inputs[2];

void stm32f1_pulses_start(void)
{
    GPIOB->BSRR = PULSE_PINS;
    stm32f1_pin(GPIOB, 8, STM32F1_PULLED);
    stm32f1_pin(GPIOB, 9, STM32F1_PULLED);
    AFIO_EXTICR[2] = 1U | 1U << 4; /* EXTI8 and EXTI9: port B */
    EXTI->FTSR |= PULSE_PINS;
    EXTI->PR = PULSE_PINS;
    EXTI->IMR |= PULSE_PINS;
    cortexm_enable(STM32F1_IRQ_EXTI9_5);
}

void stm32f1_exti9_5(void)
{
    uint32_t came = EXTI->PR & PULSE_PINS;
    EXTI->PR = came;
    for (unsigned i = 0; i < 2; i++) {
        struct pulse_input *in = &inputs[i];
        if ((came & 1U << (8 + i)) == 0 || (GPIOB->IDR & 1U << (8 + i)) != 0)
            continue;
        uint32_t now = port_ms();
        if (in->count == 0 || now - in->last_ms >= DEAD_MS) {
            in->count++;
            in->last_ms = now;
        }
    }
}

static uint32_t counted(void *ctx)
{
    return ((struct pulse_input *)ctx)->count;
}

const struct sensor_pulses stm32f1_pulses[2] = {{counted, &inputs[0]}, {counted, &inputs[1]}};

/* ---- who it is ---- */

/* 96 bits (RM0041, device electronic signature) in 64: lot and wafer letters, of which many parts
 * have the same, are folded into the wafer's place. An emulator has no such number, and no identity
 * of the debugger's. */
void port_serial(char text[17])
{
    bool real = DBGMCU_IDCODE != 0;
    uint32_t words[2] = {0, 0};
    if (real) {
        words[0] = UNIQUE_ID[0] ^ UNIQUE_ID[2];
        words[1] = UNIQUE_ID[1] ^ UNIQUE_ID[2] >> 16;
    }
    for (unsigned i = 0; i < 16; i++)
        text[i] = "0123456789ABCDEF"[words[i / 8] >> (28 - 4 * (i % 8)) & 0xFU];
    text[16] = '\0';
}
