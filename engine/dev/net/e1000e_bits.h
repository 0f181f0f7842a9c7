// The bits of the 82574's registers and descriptors, with the names of Intel's 82574 GbE Controller Family datasheet
// (chapters 7 and 10). Constants alone.
#pragma once

#include "engine/lang/bits.h"

namespace viv::e1000e {

enum Ctrl : u32 {
    ctrl_fd = 1 << 0,
    ctrl_gio_master_disable = 1 << 2,
    ctrl_slu = 1 << 6,
    ctrl_speed_1000 = 2 << 8,
    ctrl_rst = 1 << 26,
    ctrl_vme = 1 << 30,
    ctrl_phy_rst = 1u << 31,
};

enum Status : u32 {
    status_fd = 1 << 0,
    status_lu = 1 << 1,
    status_speed_1000 = 2 << 6,
    status_phyra = 1 << 10,
    status_gio_master_enable = 1 << 19,
};

enum CtrlExt : u32 { ctrl_ext_iame = 1 << 27 };

// ICR, ICS, IMS, IMC, IAM.
enum Cause : u32 {
    cause_txdw = 1 << 0,
    cause_txqe = 1 << 1,
    cause_lsc = 1 << 2,
    cause_rxdmt0 = 1 << 4,
    cause_rxt0 = 1 << 7,
    cause_mdac = 1 << 9,
    cause_rxq0 = 1 << 20,
    cause_rxq1 = 1 << 21,
    cause_txq0 = 1 << 22,
    cause_txq1 = 1 << 23,
    cause_other = 1 << 24,
    int_asserted = 1u << 31,
};
inline constexpr u32 all_causes = 0x01f7'02d7;

enum Rctl : u32 {
    rctl_en = 1 << 1,
    rctl_upe = 1 << 3,
    rctl_mpe = 1 << 4,
    rctl_lpe = 1 << 5,
    rctl_bam = 1 << 15,
    rctl_vfe = 1 << 18,
    rctl_cfien = 1 << 19,
    rctl_bsex = 1 << 25,
    rctl_secrc = 1 << 26,
};
// Fields of RCTL: where they begin and how wide they are.
inline constexpr unsigned rctl_lbm = 6, rctl_rdmts = 8, rctl_dtyp = 10, rctl_mo = 12, rctl_bsize = 16, rctl_cfi = 20,
                          rctl_flxbuf = 27;

inline constexpr u64 dtyp_legacy = 0, dtyp_split = 1;

enum Rfctl : u32 { rfctl_exsten = 1 << 15 };
enum Rxcsum : u32 { rxcsum_ipofl = 1 << 8, rxcsum_tuofl = 1 << 9, rxcsum_pcsd = 1 << 13 };
enum Tctl : u32 { tctl_en = 1 << 1, tctl_psp = 1 << 3 };
enum Rah : u32 { rah_as_source = 1 << 16, rah_as = 3 << 16, rah_av = 1u << 31 };
inline constexpr u32 delay_flush = 1u << 31;  // FPD of RDTR and TIDV

// Write-back of receive descriptors: the low byte of the status is that of both formats.
enum RxStatus : u32 {
    rx_dd = 1 << 0,
    rx_eop = 1 << 1,
    rx_ixsm = 1 << 2,
    rx_vp = 1 << 3,
    rx_udpcs = 1 << 4,
    rx_tcpcs = 1 << 5,
    rx_ipcs = 1 << 6,
    rx_pif = 1 << 7,
};
enum RxError : u8 { rx_tcpe = 1 << 5, rx_ipe = 1 << 6 };

// Transmit descriptors: the command byte of legacy and data descriptors, and TUCMD of context descriptors.
enum TxCommand : u8 {
    tx_eop = 1 << 0,
    tx_ifcs = 1 << 1,
    tx_ic = 1 << 2,   // legacy: insert a checksum
    tx_tse = 1 << 2,  // data and context: segment
    tx_rs = 1 << 3,
    tx_dext = 1 << 5,
    tx_vle = 1 << 6,
    tx_ide = 1 << 7,
    context_tcp = 1 << 0,
    context_ip = 1 << 1,
};
enum TxOption : u8 { tx_ixsm = 1 << 0, tx_txsm = 1 << 1 };
inline constexpr u8 tx_dd = 1;

inline constexpr unsigned queue_count = 2;
inline constexpr u32 descriptor_size = 16;

}  // namespace viv::e1000e
