// Disks whose bytes come from far away, as a web server's do, on images that know nothing of waiting: a read that finds
// bytes missing fails, they are fetched meanwhile, and the request is carried out again when they are there.
// Promises: a request waits without the machine; those whose bytes are there overtake it; each part of a request that
// has been carried out is not done again, so that it ends however little of it can be kept at a time; what cannot be
// had is an io_error, and asked for anew by the next request.
#pragma once

#include <functional>
#include <memory>

#include "engine/block/block.h"

namespace viv::block {

// What brings the bytes: the files and chunks of an image ask it. All calls come from the machine's thread.
class Far {
public:
    // What a read does that finds bytes missing: it waits for them until they are there or cannot be had (as everything
    // does that is no request of a guest), or it fails at once while they are fetched.
    enum class Patience : u8 { waits, fails };

    virtual ~Far() = default;
    virtual void set_patience(Patience patience) = 0;
    // Whether, since the last call, a read has failed only because its bytes are on their way.
    virtual bool take_missed() = 0;
    // Called when something that a read has missed is there, or cannot be had, never within another call. Null: nobody
    // wants to know any more.
    virtual void on_arrival(std::function<void()> arrived) = 0;
    // What has been told that it cannot be had is asked for anew from now on.
    virtual void forget_failures() = 0;
};

// `near`: a disk on an image that reads from `far`, and completes requests within submit().
std::unique_ptr<Disk> make_far_disk(std::unique_ptr<Disk> near, std::shared_ptr<Far> far);

}  // namespace viv::block
