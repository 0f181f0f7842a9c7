// Workers take chunks in order; whoever has packed the one whose turn it is writes what is ready. See chunk_pipeline.h.
#include "engine/control/chunk_pipeline.h"

#include <algorithm>

namespace viv {

namespace {

constexpr unsigned most_workers = 4;

}  // namespace

ChunkPipeline::ChunkPipeline(state::FileWriter& writer, usize chunk_size, host::Threads* threads)
    : writer_(writer), chunk_size_(chunk_size) {
    if (threads == nullptr) return;
    mutex_ = threads->make_mutex();
    changed_ = threads->make_condition();
    const unsigned count = std::clamp(threads->hardware_threads(), 1U, most_workers);
    for (unsigned i = 0; i < count; i++)
        workers_.push_back(threads->start("viv-save", [this, threads] { work(*threads); }));
}

ChunkPipeline::~ChunkPipeline() {
    if (workers_.empty()) return;
    {
        host::Lock lock(mutex_.get());
        stopping_ = true;
        changed_->notify_all();
    }
    workers_.clear();
}

bool ChunkPipeline::wants_more() const {
    host::Lock lock(mutex_.get());
    return waiting_bytes_ < enough_waiting;
}

std::vector<u8> ChunkPipeline::buffer() {
    host::Lock lock(mutex_.get());
    if (spare_.empty()) return {};
    auto buffer = std::move(spare_.back());
    spare_.pop_back();
    return buffer;
}

ChunkPipeline::Packed ChunkPipeline::pack(state::ChunkPacker& packer, std::span<const u8> plain) const {
    Packed packed;
    for (; !plain.empty(); plain = plain.subspan(std::min(chunk_size_, plain.size())))
        packed.push_back(packer.pack(plain.first(std::min(chunk_size_, plain.size()))));
    return packed;
}

void ChunkPipeline::add(std::vector<u8> plain) {
    host::Lock lock(mutex_.get());
    const u64 number = added_++;
    while (waiting_bytes_ >= most_waiting && !problem_) changed_->wait(*mutex_);
    if (problem_) return;
    if (workers_.empty()) {
        packed_.emplace(number, pack(own_, plain));
        give_back(std::move(plain));
        return write_ready();
    }
    waiting_bytes_ += plain.size();
    waiting_.emplace(number, std::move(plain));
    changed_->notify_all();
}

void ChunkPipeline::finish(std::function<Result<void>(const Numbers&)> work) {
    host::Lock lock(mutex_.get());
    last_ = std::move(work);
    if (workers_.empty()) return write_ready();
    changed_->notify_all();
}

std::optional<Result<void>> ChunkPipeline::result() const {
    host::Lock lock(mutex_.get());
    return result_;
}

void ChunkPipeline::wait() {
    host::Lock lock(mutex_.get());
    while (!result_) changed_->wait(*mutex_);
}

// Called with the lock held, which it gives up while it writes.
void ChunkPipeline::write_ready() {
    if (writing_) return;
    writing_ = true;
    const auto unlocked = [this](auto call) {
        if (mutex_) mutex_->unlock();
        auto done = call();
        if (mutex_) mutex_->lock();
        return done;
    };
    while (!problem_ && !packed_.empty() && packed_.begin()->first == written_) {
        const auto chunks = std::move(packed_.begin()->second);
        packed_.erase(packed_.begin());
        u64 plain = 0;
        auto written = unlocked([&]() -> Result<Numbers> {
            Numbers numbers;
            for (const auto& chunk : chunks) {
                plain += chunk.plain;
                TRY_SET(const u32 number, writer_.add(chunk));
                numbers.push_back(number);
            }
            return numbers;
        });
        written_++;
        waiting_bytes_ -= std::min<u64>(waiting_bytes_, plain);
        if (written.ok())
            numbers_.insert(numbers_.end(), written->begin(), written->end());
        else
            problem_ = written.error();
    }
    if (last_ && !result_ && (problem_ || written_ == added_))
        result_ = problem_ ? Result<void>(*problem_) : unlocked([this] { return last_(numbers_); });
    writing_ = false;
    if (changed_) changed_->notify_all();
}

// With the lock held.
void ChunkPipeline::give_back(std::vector<u8> buffer) {
    buffer.clear();
    spare_.push_back(std::move(buffer));
}

bool ChunkPipeline::take(std::vector<u8>& plain, u64& number) {
    host::Lock lock(mutex_.get());
    for (;;) {
        if (stopping_) return false;
        if (!problem_ && !waiting_.empty()) break;
        if (last_ && !result_) write_ready();
        if (!stopping_) changed_->wait(*mutex_);
    }
    number = waiting_.begin()->first;
    plain = std::move(waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
    return true;
}

void ChunkPipeline::work(host::Threads& threads) {
    threads.give_way();  // to the machine, which goes on meanwhile
    state::ChunkPacker packer;
    std::vector<u8> plain;
    u64 number = 0;
    while (take(plain, number)) {
        auto packed = pack(packer, plain);
        host::Lock lock(mutex_.get());
        packed_.emplace(number, std::move(packed));
        give_back(std::move(plain));
        write_ready();
    }
}

}  // namespace viv
