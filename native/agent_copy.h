// Copies between host and guest as operations of an agent session: PUT and GET of guests/agent/PROTOCOL.md.
// Promises: copying out writes below its destination only, whatever paths and links the guest sends; files appear under
// their names when complete; set-id bits are dropped. Errors name the host's path or quote the guest.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "native/agent_session.h"
#include "native/descriptor.h"

namespace viv::native {

// The host's file or folder `from` becomes `to` in the guest (or to/name, if `to` is a folder there or ends with "/").
class AgentUpload final : public AgentOperation {
public:
    AgentUpload(std::string from, std::string to);
    ~AgentUpload() override;
    // Is there something to read at `from`?
    static Result<void> check(const std::string& from);

private:
    struct Folder {
        std::string path;  // relative to `from`
        std::vector<std::string> names;
        usize next = 0;
    };
    void begin() override;
    void receive(const Frame& frame) override;
    void step() override;
    std::string subject() const override { return "--copy-in " + from_ + ":" + to_; }
    bool send_next();
    bool send_data();
    bool send_entry(const std::string& relative);
    Result<Folder> read_folder(const std::string& relative) const;
    std::string host_path(const std::string& relative) const;
    void abandon(std::string message);

    std::string from_, to_;
    std::vector<Folder> folders_;  // open ones, outermost first
    Descriptor file_;
    std::string file_path_;
    bool begun_ = false, end_sent_ = false;
};

// The guest's `from` becomes `to` on the host (or to/name, if `to` is a folder or ends with "/").
class AgentDownload final : public AgentOperation {
public:
    // `warn` gets a line for each thing in the guest that could not be read.
    AgentDownload(std::string from, std::string to, std::function<void(std::string_view)> warn);
    ~AgentDownload() override;
    // Is there a folder to put it into?
    static Result<void> check(const std::string& from, const std::string& to);

private:
    struct Place {
        std::string folder, name;  // of the host, to write folder/name
    };
    static Result<Place> place_of(const std::string& from, const std::string& to);
    void begin() override;
    void receive(const Frame& frame) override;
    std::string subject() const override { return "--copy-out " + from_ + ":" + to_; }
    Result<void> entry(std::span<const u8> payload);
    Result<void> data(std::span<const u8> bytes);
    Result<void> close_file();
    Result<Descriptor> open_parent(const std::string& relative, std::string& name) const;
    Error host_error(const std::string& relative, int error_number) const;
    void abandon(std::string message);

    std::string from_, to_;
    std::function<void(std::string_view)> warn_;
    Place place_;
    Descriptor base_;
    struct Writing {
        Descriptor parent, file;
        std::string relative, name, temporary;
        u32 mode = 0;
        i64 seconds = 0;
        u32 nanoseconds = 0;
    };
    std::unique_ptr<Writing> writing_;
    bool top_seen_ = false;
};

}  // namespace viv::native
