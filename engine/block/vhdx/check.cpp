// Finding and mending what is wrong with an image. See grown.h.
#include <fmt/format.h>

#include <algorithm>

#include "engine/block/vhdx/grown.h"

namespace viv::block::vhdx {

GrownImage::Faults GrownImage::find_faults() {
    Faults faults;
    const auto add = [&](std::string line) {
        faults.count++;
        if (faults.lines.size() < CheckReport::most_findings) faults.lines.push_back(std::move(line));
    };
    const u64 file_end = file_->size(), block = metadata_.block;
    std::vector<u32> numbers;
    for (u64 i = 0; i < metadata_.blocks(); i++) {
        const u64 state = state_of(table_[metadata_.entry_of(i)]);
        if (state != full_state) {
            if (state > 3) add(fmt::format("ERROR block {} of the disk is in the state {}, which cannot be", i, state));
            continue;
        }
        faults.allocated++;
        if (i != 0 && place(i) != place(i - 1) + block) faults.fragmented++;
        numbers.push_back(static_cast<u32>(i));
        if (!range_fits(place(i), block, file_end))
            add(fmt::format("ERROR block {} of the disk is behind the end of the file ({})", i, place(i)));
    }
    std::sort(numbers.begin(), numbers.end(), [&](u32 a, u32 b) { return place(a) < place(b); });
    auto range = taken_.begin();
    for (usize i = 0; i < numbers.size(); i++) {
        const u64 start = place(numbers[i]);
        while (range != taken_.end() && range->end() <= start) ++range;
        if (range != taken_.end() && range->start < start + block)
            add(fmt::format("ERROR block {} of the disk is where {} is ({})", numbers[i], range->what, start));
        if (i != 0 && start < place(numbers[i - 1]) + block)
            add(fmt::format("ERROR block {} of the disk is where block {} is, too ({})", numbers[i], numbers[i - 1],
                            start));
    }
    return faults;
}

// Space at the end that nobody uses is no fault: programs keep some there, and the next blocks take it.
Result<CheckReport> GrownImage::check(Repair repair) {
    CheckReport report;
    auto faults = find_faults();
    report.total_clusters = metadata_.blocks();
    report.allocated_clusters = faults.allocated;
    report.fragmented_clusters = faults.fragmented;
    report.image_end = next_;
    report.corruptions = faults.count;
    report.findings = std::move(faults.lines);
    const bool safe = faults.count == 0;
    if (repair != Repair::nothing) TRY(check_writable(0, 0));
    TRY(mend_copies(safe ? repair : Repair::nothing, report));
    return report;
}

// Of what is there twice, and the name of a log that is lost.
Result<void> GrownImage::mend_copies(Repair repair, CheckReport& report) {
    const bool mended = repair == Repair::everything;
    const u64 before = report.corruptions;
    if (log_lost_) {
        report.finding("ERROR the header names a log, and no entry of it is whole");
        report.corruptions++;
    }
    for (usize i = 0; i < 2; i++) {
        if (!headers_good_[i]) {
            report.finding(fmt::format("ERROR header {} is damaged", i + 1));
            report.corruptions++;
        }
        if (!regions_good_[i]) {
            report.finding(fmt::format("ERROR table of regions {} is damaged", i + 1));
            report.corruptions++;
        }
    }
    if (!mended || report.corruptions == before) return {};
    if (!regions_good_[0] || !regions_good_[1]) {
        const usize good = regions_good_[0] ? 0 : 1;
        std::vector<u8> table(region_table_bytes);
        TRY(file_->read_at(region_places[good], table));
        TRY(file_->write_at(region_places[1 - good], table));
        TRY(file_->flush());
        regions_good_ = {true, true};
    }
    header_.log = no_guid;
    header_.file_write = new_guid();
    TRY(put_headers());
    log_lost_ = false;
    unsafe_ = false;
    report.corruptions_fixed += report.corruptions - before;
    report.corruptions = before;
    return {};
}

}  // namespace viv::block::vhdx
