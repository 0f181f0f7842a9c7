// The guest's assembly: program start, entering a case with a whole machine state, leaving it, and the signal return.
// Promises: a case's code sees exactly the given state; the state when it leaves is stored whole. See protocol.h for
// the way in and out.
// Stubs exist for each link register because no other register is free while the state is loaded and stored.
#include "protocol.h"

#if __riscv_xlen == 64
#define LOAD ld
#define STORE sd
#define WORD 8
#else
#define LOAD lw
#define STORE sw
#define WORD 4
#endif

    .text
    .globl _start
_start:
    mv a0, sp
    call guest_main
1:  j 1b

    // void enter(const struct test_case *a0, void *stub a1)
    .globl enter
enter:
    addi sp, sp, -(32 * WORD)
    STORE ra, 0(sp)
    STORE s0, 1 * WORD(sp)
    STORE s1, 2 * WORD(sp)
    STORE s2, 3 * WORD(sp)
    STORE s3, 4 * WORD(sp)
    STORE s4, 5 * WORD(sp)
    STORE s5, 6 * WORD(sp)
    STORE s6, 7 * WORD(sp)
    STORE s7, 8 * WORD(sp)
    STORE s8, 9 * WORD(sp)
    STORE s9, 10 * WORD(sp)
    STORE s10, 11 * WORD(sp)
    STORE s11, 12 * WORD(sp)
    STORE gp, 13 * WORD(sp)
    STORE tp, 14 * WORD(sp)
    la t0, saved_sp
    STORE sp, 0(t0)
    la t0, dummy
    sc.w zero, zero, (t0)       // no reservation is left
    LOAD t0, STATE_FCSR(a0)
    csrw fcsr, t0
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fld f\n, STATE_F + 8 * \n(a0)
    .endr
    la t0, vlenb
    LOAD t0, 0(t0)
    beqz t0, 2f
    .option push
    .option arch, +v
    slli t1, t0, 3
    addi t2, a0, STATE_V
    csrw vstart, zero
    vl8re8.v v0, (t2)
    add t2, t2, t1
    vl8re8.v v8, (t2)
    add t2, t2, t1
    vl8re8.v v16, (t2)
    add t2, t2, t1
    vl8re8.v v24, (t2)
    LOAD t0, STATE_VL(a0)
    LOAD t1, STATE_VTYPE(a0)
    vsetvl zero, t0, t1
    LOAD t0, STATE_VCSR(a0)
    csrw vcsr, t0
    LOAD t0, STATE_VSTART(a0)
    csrw vstart, t0
    .option pop
2:  jr a1

    // Enters with the case in a0: all registers but r are loaded through r, and r, which is the address of the code,
    // last.
    .altmacro
    .macro entry_stub r
entry_stub_\r:
    mv x\r, a0
    .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    .if \n != \r
    LOAD x\n, STATE_X + 8 * \n(x\r)
    .endif
    .endr
    LOAD x\r, STATE_X + 8 * \r(x\r)
    jr x\r
    .endm
    .irp r, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    entry_stub \r
    .endr

    .macro exit_stub r
exit_stub_\r:
    la x\r, current_result
    LOAD x\r, 0(x\r)
    .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    .if \n != \r
    STORE x\n, STATE_X + 8 * \n(x\r)
    .endif
    .endr
    mv a0, x\r
    j exit_common
    .endm
    .irp r, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    exit_stub \r
    .endr

    .globl exit_common          // a0: the result
exit_common:
    csrr t0, fcsr
    STORE t0, STATE_FCSR(a0)
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fsd f\n, STATE_F + 8 * \n(a0)
    .endr
    la t0, vlenb
    LOAD t0, 0(t0)
    beqz t0, 3f
    .option push
    .option arch, +v
    csrr t1, vstart
    STORE t1, STATE_VSTART(a0)
    csrr t1, vl
    STORE t1, STATE_VL(a0)
    csrr t1, vtype
    STORE t1, STATE_VTYPE(a0)
    csrr t1, vcsr
    STORE t1, STATE_VCSR(a0)
    csrw vstart, zero
    slli t1, t0, 3
    addi t2, a0, STATE_V
    vs8r.v v0, (t2)
    add t2, t2, t1
    vs8r.v v8, (t2)
    add t2, t2, t1
    vs8r.v v16, (t2)
    add t2, t2, t1
    vs8r.v v24, (t2)
    .option pop
3:  la t0, saved_sp
    LOAD sp, 0(t0)
    LOAD ra, 0(sp)
    LOAD s0, 1 * WORD(sp)
    LOAD s1, 2 * WORD(sp)
    LOAD s2, 3 * WORD(sp)
    LOAD s3, 4 * WORD(sp)
    LOAD s4, 5 * WORD(sp)
    LOAD s5, 6 * WORD(sp)
    LOAD s6, 7 * WORD(sp)
    LOAD s7, 8 * WORD(sp)
    LOAD s8, 9 * WORD(sp)
    LOAD s9, 10 * WORD(sp)
    LOAD s10, 11 * WORD(sp)
    LOAD s11, 12 * WORD(sp)
    LOAD gp, 13 * WORD(sp)
    LOAD tp, 14 * WORD(sp)
    addi sp, sp, 32 * WORD
    ret

    // long system_call(number, a, b, c, d, e, f)
    .globl system_call
system_call:
    mv a7, a0
    mv a0, a1
    mv a1, a2
    mv a2, a3
    mv a3, a4
    mv a4, a5
    mv a5, a6
    ecall
    ret

    .section .rodata
    .balign 8
    .globl entry_stubs
entry_stubs:
    .dword 0
    .irp r, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    .dword entry_stub_\r
    .endr
    .globl exit_stubs
exit_stubs:
    .dword 0
    .irp r, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    .dword exit_stub_\r
    .endr

    .bss
    .balign 8
saved_sp:
    .skip 8
dummy:
    .skip 8
    .globl vlenb
vlenb:
    .skip 8
    .globl current_result
current_result:
    .skip 8
