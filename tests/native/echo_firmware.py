"""A small firmware for riscv-virt, assembled here: it prints "ready" and gives back every byte that it reads; in
between it sleeps (WFI) until the UART's interrupt, or not (busy). Three bytes mean more: q powers off by the test
finisher, f fails with code 3, R resets."""

import struct

UART, FINISHER, PLIC = 0x10000000, 0x100000, 0xc000000
UART_SOURCE = 10
ZERO, T0, T1, T2, T3, T4, T5, T6 = 0, 5, 6, 7, 28, 29, 30, 31
WFI = 0x10500073
NOTHING = 0x13


def u_type(opcode, rd, value):
    return (value & 0xfffff000) | rd << 7 | opcode


def i_type(opcode, funct3, rd, rs1, immediate):
    return (immediate & 0xfff) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode


def s_type(funct3, rs2, rs1, immediate):
    return (immediate >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | (immediate & 0x1f) << 7 | 0x23


def branch(funct3, rs1, rs2, offset):
    return ((offset >> 12 & 1) << 31 | (offset >> 5 & 0x3f) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 |
            (offset >> 1 & 0xf) << 8 | (offset >> 11 & 1) << 7 | 0x63)


def jump(offset):
    return ((offset >> 20 & 1) << 31 | (offset >> 1 & 0x3ff) << 21 | (offset >> 11 & 1) << 20 |
            (offset >> 12 & 0xff) << 12 | 0x6f)


def lui(rd, value):
    return u_type(0x37, rd, value)


def addi(rd, rs1, immediate):
    return i_type(0x13, 0, rd, rs1, immediate)


def li(rd, value):
    return [lui(rd, value + 0x800), addi(rd, rd, (value & 0xfff) - (value & 0x800) * 2)]


def store_word(address, value):
    return [*li(T3, address), *li(T4, value), s_type(2, T4, T3, 0)]


def image(busy: bool = False) -> bytes:
    code = [lui(T0, UART), lui(T1, FINISHER), lui(T5, PLIC + 0x200000)]
    code += store_word(PLIC + 4 * UART_SOURCE, 1)                 # priority
    code += store_word(PLIC + 0x2000, 1 << UART_SOURCE)           # enabled for hart 0 in machine mode
    code += store_word(PLIC + 0x200000, 0)                        # threshold
    code += [addi(T2, ZERO, 1), s_type(0, T2, T0, 1)]             # UART: IER, received data
    code += [*li(T2, 1 << 11), 0x304 << 20 | T2 << 15 | 1 << 12 | 0x73]  # csrw mie: wakes WFI, is not taken
    for letter in b"ready\n":
        code += [addi(T2, ZERO, letter), s_type(0, T2, T0, 0)]
    loop = len(code)
    code += [i_type(0x03, 2, T6, T5, 4), s_type(2, T6, T5, 4)]    # claim and complete
    code += [i_type(0x03, 4, T2, T0, 5), i_type(0x13, 7, T2, T2, 1)]  # LSR: is there a byte?
    code += [branch(1, T2, ZERO, 12), NOTHING if busy else WFI]
    code += [jump(4 * (loop - len(code)))]
    code += [i_type(0x03, 4, T2, T0, 0), s_type(0, T2, T0, 0)]
    for letter, value in ((b"q", 0x5555), (b"f", 0x33333), (b"R", 0x7777)):
        action = [*li(T4, value), s_type(2, T4, T1, 0), jump(0)]
        code += [addi(T3, ZERO, letter[0]), branch(1, T2, T3, 4 * (len(action) + 1)), *action]
    code += [jump(4 * (loop - len(code)))]
    return b"".join(struct.pack("<I", word & 0xffffffff) for word in code)
