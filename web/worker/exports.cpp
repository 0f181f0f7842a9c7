// What JavaScript calls: plain functions over a Session, texts and bytes as a place in memory and a size.
// Promises: every function but viv_new takes what viv_new has returned; results that are places in memory are valid
// until the next call for the same session. web/js/engine.mjs is the only caller and gives these their types.
#include <emscripten.h>

#include <string>

#include "engine/lang/hash.h"
#include "web/worker/session.h"

namespace {

using viv::u64;
using viv::u8;
using viv::web::Session;

struct Handle {
    Session session;
    std::string text;  // what was last returned
};

u64 size_of_text(const Handle& handle) { return handle.text.size(); }

}  // namespace

extern "C" {

EMSCRIPTEN_KEEPALIVE Handle* viv_new() { return new Handle; }
EMSCRIPTEN_KEEPALIVE void viv_free(Handle* handle) { delete handle; }

// The text that the call before this one has left: an error, answers, a hash.
EMSCRIPTEN_KEEPALIVE const char* viv_text(Handle* handle) { return handle->text.data(); }
EMSCRIPTEN_KEEPALIVE unsigned viv_text_size(Handle* handle) { return static_cast<unsigned>(size_of_text(*handle)); }

EMSCRIPTEN_KEEPALIVE u8* viv_file(Handle* handle, const char* name, unsigned name_size, double size) {
    return handle->session.make_file(std::string(name, name_size), static_cast<u64>(size));
}

// 1, or 0 and the text says why not.
EMSCRIPTEN_KEEPALIVE int viv_start(Handle* handle, const char* description, unsigned size) {
    const auto started = handle->session.start({description, size});
    handle->text = started.ok() ? std::string() : started.error().message;
    return started.ok();
}

// Between slices: WebDisks::arrived().
EMSCRIPTEN_KEEPALIVE void viv_disk_arrived(Handle* handle, unsigned source) { handle->session.disks().arrived(source); }
// The text is the hash by which chunks are called.
EMSCRIPTEN_KEEPALIVE void viv_hash_of(Handle* handle, const u8* bytes, unsigned size) {
    handle->text = viv::hash128({bytes, size}).hex();
}

// 1 and the text is the saved machine's identity and "inside" or "outside", where its chunks are; or 0 and the text
// says what is wrong with it.
EMSCRIPTEN_KEEPALIVE int viv_look(Handle* handle, unsigned source) {
    auto identity = handle->session.look(source);
    handle->text = !identity.ok()                   ? identity.error().message
                   : handle->session.is_published() ? identity->hex() + " outside"
                                                    : identity->hex() + " inside";
    return identity.ok();
}
// As viv_start.
EMSCRIPTEN_KEEPALIVE int viv_open(Handle* handle, const char* wishes, unsigned size) {
    const auto opened = handle->session.open({wishes, size});
    handle->text = opened.ok() ? std::string() : opened.error().message;
    return opened.ok();
}
EMSCRIPTEN_KEEPALIVE int viv_begin_save(Handle* handle) {
    const auto begun = handle->session.begin_save();
    handle->text = begun.ok() ? std::string() : begun.error().message;
    return begun.ok();
}
// How the saving goes: 1 under way, 2 complete, 3 failed, and then the text says why. Else the text is what has been
// written since the last call.
EMSCRIPTEN_KEEPALIVE int viv_take_saved(Handle* handle) {
    auto& saved = handle->session.saved();
    const bool failed = saved.progress == viv::web::SavedOutput::Progress::failed;
    handle->text = failed ? saved.problem : std::string(saved.bytes.begin(), saved.bytes.end());
    saved.bytes.clear();
    return static_cast<int>(saved.progress);
}

// Why a machine has ended that lost a part of itself; empty for others.
EMSCRIPTEN_KEEPALIVE void viv_problem(Handle* handle) {
    const bool lost = handle->session.machine().stop_reason() == viv::StopReason::host_error;
    handle->text = lost ? handle->session.problem() : std::string();
}

EMSCRIPTEN_KEEPALIVE double viv_run(Handle* handle, double milliseconds, double last_instruction) {
    const u64 last = last_instruction < 9e15 ? static_cast<u64>(last_instruction) : ~u64{0};
    return handle->session.run(milliseconds, last);
}

EMSCRIPTEN_KEEPALIVE int viv_exit_code(Handle* handle) { return handle->session.machine().exit_code(); }
EMSCRIPTEN_KEEPALIVE double viv_instructions(Handle* handle) {
    return static_cast<double>(handle->session.machine().instructions());
}

// Streams are numbered as Session::stream() does.
EMSCRIPTEN_KEEPALIVE void viv_type(Handle* handle, unsigned stream, const u8* bytes, unsigned size) {
    if (auto* const port = handle->session.stream(stream)) port->type({bytes, size});
}
// What the guest has printed there, as text() of bytes. 1: the guest has its end of a console port open;
// -1: the machine has no such stream.
EMSCRIPTEN_KEEPALIVE int viv_take_output(Handle* handle, unsigned stream) {
    handle->text.clear();
    auto* const port = handle->session.stream(stream);
    if (port == nullptr || !port->attached()) return -1;
    const auto bytes = port->take_output();
    handle->text.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return port->opened();
}

EMSCRIPTEN_KEEPALIVE void viv_pause(Handle* handle) { handle->session.machine().pause(); }
EMSCRIPTEN_KEEPALIVE void viv_resume(Handle* handle) { handle->session.machine().resume(); }
// As viv_start.
EMSCRIPTEN_KEEPALIVE int viv_reset(Handle* handle) {
    const auto reset = handle->session.machine().reset();
    handle->text = reset.ok() ? std::string() : reset.error().message;
    return reset.ok();
}

EMSCRIPTEN_KEEPALIVE void viv_give_frame(Handle* handle, const u8* bytes, unsigned size) {
    handle->session.network().give({bytes, size});
}
// The text is the guest's frames, as WebNetwork::take_frames() has them.
EMSCRIPTEN_KEEPALIVE void viv_take_frames(Handle* handle) {
    const auto frames = handle->session.network().take_frames();
    handle->text.assign(frames.begin(), frames.end());
}

// A client's number, or 0 and the text says why there is none.
EMSCRIPTEN_KEEPALIVE unsigned viv_open_control(Handle* handle, const char* protocol, unsigned size) {
    const auto opened = handle->session.open_control({protocol, size});
    handle->text = opened.ok() ? std::string() : opened.error().message;
    return opened.ok() ? *opened : 0;
}
EMSCRIPTEN_KEEPALIVE void viv_close_control(Handle* handle, unsigned number) {
    handle->session.controls().close(number);
}
EMSCRIPTEN_KEEPALIVE void viv_tell_control(Handle* handle, unsigned number, const u8* bytes, unsigned size) {
    handle->session.controls().receive(number, {bytes, size});
}
// The text is what the client has been told since the last call. 0: that is the last of it (WebControls::is_over).
EMSCRIPTEN_KEEPALIVE int viv_take_control(Handle* handle, unsigned number) {
    handle->text = handle->session.controls().take(number);
    return !handle->session.controls().is_over(number);
}

EMSCRIPTEN_KEEPALIVE void viv_hash(Handle* handle) { handle->text = handle->session.machine().hash().hex(); }

}  // extern "C"
