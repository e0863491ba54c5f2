/* Within the family. */
#ifndef FIRMWARE_MCU_STM32F1_STM32F1_INT_H
#define FIRMWARE_MCU_STM32F1_STM32F1_INT_H

#include <stdbool.h>
#include <stdint.h>

bool stm32f1_line_waiting(void); /* a byte was received */
/* Waits until these bits of a register have that value; false: they never do. */
bool stm32f1_became(const volatile uint32_t *reg, uint32_t bits, uint32_t value);
/* Interrupts. */
void stm32f1_systick(void);
void stm32f1_usart1(void);
void stm32f1_usart2(void);
void stm32f1_usart3(void);
void stm32f1_exti9_5(void);

#endif
