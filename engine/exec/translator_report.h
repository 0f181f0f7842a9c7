// What a translator has done since it was made and what it holds now, hottest first, for people who ask where time and
// code memory go.
// Promises: plain data; nothing refers to the translator, which goes on. Sizes are bytes, counts are of this vCPU.
#pragma once

#include <string>
#include <vector>

#include "engine/lang/bits.h"

namespace viv::exec {

struct TranslatorReport {
    struct Tier {
        std::string name;
        u64 made = 0;        // translations since the start
        u64 held = 0;        // of these, those that are there now
        u64 dropped = 0;     // the others: their guest code changed, better code came, or the room was needed
        u64 host_bytes = 0;  // of those held
    };
    struct Exit {
        std::string cause;
        std::string meaning;  // for people: what the dispatcher was asked to do
        u64 count = 0;
    };
    struct Translation {
        u64 pc = 0;    // of its first block, where its page was mapped when it was made
        u64 mode = 0;  // what else of the vCPU it was made for
        u64 physical_page = 0;
        std::string tier;
        u64 blocks = 0;
        u64 guest_bytes = 0;
        u64 host_bytes = 0;
        // How often this vCPU's slice came to its end within it. Slices are granted in instructions, and end wherever
        // they are used up, so this is an even sample of the instructions that translations execute.
        u64 samples = 0;
        // Times it gave control back, these included; but where a jump's target was in no table, nobody knows whose.
        u64 exits = 0;
    };

    std::string backend;
    u64 cache_capacity = 0;
    u64 cache_used = 0;       // by the translations held
    std::vector<Tier> tiers;  // the cheapest first
    u64 host_bytes_made = 0;  // of all code since the start
    u64 entries = 0;          // from the dispatcher into translations; each ends by one exit
    std::vector<Exit> exits;
    u64 samples = 0;  // of all translations, dropped ones too
    u64 interpreted_blocks = 0;
    u64 waiting = 0;                   // regions that have been asked for and are not there yet
    u64 outdated = 0;                  // regions that came too late: their guest code had changed
    std::vector<Translation> hottest;  // by samples, then exits; as many as were asked for
};

}  // namespace viv::exec
