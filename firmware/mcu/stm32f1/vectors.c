/* Who answers which interrupt. */
#include "firmware/mcu/stm32f1/stm32f1.h"

#include "firmware/mcu/cortexm/cortexm.h"
#include "firmware/mcu/stm32f1/stm32f1_int.h"

__attribute__((section(".vectors"), used)) static const union cortexm_vector vectors[16 + 40] = {
    CORTEXM_VECTORS(cortexm_fault, stm32f1_systick), [16 + STM32F1_IRQ_EXTI9_5] = {stm32f1_exti9_5},
    [16 + STM32F1_IRQ_USART1] = {stm32f1_usart1},    [16 + STM32F1_IRQ_USART2] = {stm32f1_usart2},
    [16 + STM32F1_IRQ_USART3] = {stm32f1_usart3},
};
