// What the guest program and the host program share: the layout of the file that both map, and the addresses that a
// case may use.
// Read by C (guest.c), assembly (guest_entry.S) and C++. Every slot is 64 bits wide for RV32 and RV64 alike, little
// endian.
//  The host fills in `header`, the window, the cases and their code, and writes a byte to the guest's standard input;
// the guest runs all cases, fills in the results and answers with a byte. Block n of code, which any number of cases
// start in different states, lies at CODE_BASE + n * CODE_STRIDE and ends with this sequence, aligned to 8:
//      auipc r, 0;  load r, 16(r);  jalr r, 0(r);  (4 bytes unused);  address of exit stub r
// where r is the link register of its cases: their only register that is not compared. At entry x[r] is the address of
// the code.
#pragma once

// Odd places, that arithmetic seldom makes by chance.
#define CODE_BASE 0x17580000    // a multiple of the size of all code, as a protected range must be
#define CODE_STRIDE 256         // bytes a block of code
#define EXIT_BYTES 24           // of the sequence at the end
#define WINDOW_BASE 0x2bc66000  // two pages that may be read and written; no page around them may
#define WINDOW_BYTES 8192
// Where the guest maps the file, and where its program is linked (see the build).
#define SHARED_BASE_64 0x2593b40000
#define PROGRAM_BASE_64 0x316d2b0000
#define SHARED_BASE_32 0xa35b0000
#define PROGRAM_BASE_32 0xb4c70000
#define PROGRAM_BYTES 0x40000
#if defined(__riscv_xlen) && __riscv_xlen == 32
#define SHARED_BASE SHARED_BASE_32
#else
#define SHARED_BASE SHARED_BASE_64
#endif
#define MAXIMUM_CASES 2048
#define MAXIMUM_VLENB 128
#define MAXIMUM_FAULTS 64

// Offsets into struct machine_state for assembly.
#define STATE_X 0
#define STATE_F 256
#define STATE_FCSR 512
#define STATE_VCSR 520
#define STATE_VSTART 528
#define STATE_VL 536
#define STATE_VTYPE 544
#define STATE_V 576

#ifndef __ASSEMBLER__
#include <stdint.h>

struct machine_state {
    uint64_t x[32];
    uint64_t f[32];
    uint64_t fcsr, vcsr, vstart, vl, vtype;
    uint64_t padding[3];
    uint8_t v[32 * MAXIMUM_VLENB];  // register n at n * vlenb
};

struct test_case {
    struct machine_state before;
    uint64_t block;   // of code, n
    uint64_t link;    // r
    uint64_t uses_f;  // whether FP state is to be set and read, and likewise
    uint64_t uses_v;  // vector state
    uint64_t skip;    // the case is not run
};

struct fault {
    uint32_t offset;  // of the instruction in its block of code
    uint32_t signal;  // as the guest's kernel numbers them
};

struct test_result {
    struct machine_state after;
    uint64_t fault_count;
    struct fault faults[MAXIMUM_FAULTS];      // with as many the case is lost, and the state is not stored
    uint64_t changed[WINDOW_BYTES / 8 / 64];  // one bit for each 8 bytes of the window that differ from before
    uint64_t window[WINDOW_BYTES / 8];        // their new values
};

struct shared_file {
    uint64_t count;
    uint64_t vlenb;
    uint64_t exit_stubs[32];  // filled in by the guest when it starts
    uint64_t ready;
    uint64_t current;  // the case that the guest runs
    uint8_t padding[4096 - 36 * 8];
    uint64_t window[WINDOW_BYTES / 8];
    uint8_t code[MAXIMUM_CASES * CODE_STRIDE];  // mapped once more, at CODE_BASE
    struct test_case cases[MAXIMUM_CASES];
    struct test_result results[MAXIMUM_CASES];
};
#endif
