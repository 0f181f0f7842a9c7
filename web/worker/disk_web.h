// Disks behind URLs in a page: the index and its chunks are fetched by JavaScript, what is written goes to a file that
// the browser keeps for the site (its Origin Private File System), or to memory.
// Promises: the machine goes on while bytes travel (engine/block/far.h), unless it is to repeat exactly; what
// JavaScript gives is copied at once and never believed: chunks have their hash, and a kept file is opened only over
// the disk that it was made for.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "engine/block/block.h"
#include "engine/block/far.h"
#include "engine/host/entropy.h"

namespace viv::web {

class WebDisks {
public:
    struct Wanted {
        u32 number = 0;   // of the object that web/js/engine.mjs has put down: a DiskSource of disks.mjs
        std::string url;  // for messages and monitors
        bool read_only = false;
        bool kept = false;  // the object has a file that takes what is written
    };
    enum class Waiting : u8 { machine_goes_on, machine_waits };

    explicit WebDisks(host::Entropy& entropy) : entropy_(entropy) {}
    WebDisks(const WebDisks&) = delete;
    WebDisks& operator=(const WebDisks&) = delete;

    Result<std::unique_ptr<block::Disk>> open(const Wanted& wanted, Waiting waiting);
    // Something that a read has missed is there, or cannot be had. Between slices.
    void arrived(u32 number);

private:
    class Chunks;
    class WebFar;
    host::Entropy& entropy_;
    std::map<u32, std::weak_ptr<WebFar>> disks_;
};

}  // namespace viv::web
