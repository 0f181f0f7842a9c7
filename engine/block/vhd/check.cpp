// Finding and mending what is wrong with a dynamic image. See dynamic.h.
#include <fmt/format.h>

#include <algorithm>

#include "engine/block/vhd/dynamic.h"

namespace viv::block::vhd {

DynamicImage::Faults DynamicImage::find_faults() {
    Faults faults;
    const auto add = [&](std::string line) {
        faults.count++;
        if (faults.lines.size() < CheckReport::most_findings) faults.lines.push_back(std::move(line));
    };
    const u64 file_end = align_down(file_->size(), sector), end = file_end - (tail_good_ ? sector : 0);
    const u64 tables[][2] = {
        {0, sector}, {footer_.header, footer_.header + header_sectors * sector}, {table_place_, table_end()}};
    std::vector<u32> numbers;
    for (u32 i = 0; i < table_.size(); i++) {
        if (!there(i)) continue;
        faults.allocated++;
        if (i != 0 && place(i) != place(i - 1) + stride()) faults.fragmented++;
        numbers.push_back(i);
        if (!range_fits(place(i), stride(), end))
            add(fmt::format("ERROR block {} of the disk is behind the end of the file ({})", i, place(i)));
        for (const auto& [first, last] : tables)
            if (place(i) < last && place(i) + stride() > first)
                add(fmt::format("ERROR block {} of the disk is where a table is ({})", i, place(i)));
    }
    std::sort(numbers.begin(), numbers.end(), [&](u32 a, u32 b) { return table_[a] < table_[b]; });
    for (usize i = 1; i < numbers.size(); i++)
        if (place(numbers[i]) < place(numbers[i - 1]) + stride())
            add(fmt::format("ERROR block {} of the disk is where block {} is, too ({})", numbers[i], numbers[i - 1],
                            place(numbers[i])));
    return faults;
}

Result<CheckReport> DynamicImage::check(Repair repair) {
    CheckReport report;
    auto faults = find_faults();
    report.total_clusters = table_.size();
    report.allocated_clusters = faults.allocated;
    report.fragmented_clusters = faults.fragmented;
    report.image_end = next_;
    report.corruptions = faults.count;
    report.findings = std::move(faults.lines);
    const bool safe = faults.count == 0;
    if (repair != Repair::nothing) TRY(check_writable(0, 0));

    const u64 file_end = align_down(file_->size(), sector);
    const u64 behind = file_end > next_ + sector ? (file_end - sector - next_) / stride() : 0;
    if (behind != 0 && safe) {
        report.finding(
            fmt::format("LEAK there is space for {} blocks at the end of the file that nobody uses", behind));
        if (repair == Repair::nothing) {
            report.leaks += behind;
        } else {
            TRY(put_footer(next_));
            TRY(file_->flush());
            TRY(file_->resize(next_ + sector));
            report.leaks_fixed += behind;
        }
    }
    for (const bool head : {true, false}) {
        if (head ? head_good_ : tail_good_) continue;
        report.finding(fmt::format("ERROR the footer at the {} of the file is damaged", head ? "beginning" : "end"));
        if (repair != Repair::everything || !safe) {
            report.corruptions++;
            continue;
        }
        TRY(head ? file_->write_at(0, footer_bytes_) : put_footer(std::max(align_up(file_->size(), sector), next_)));
        if (head) head_good_ = true;
        report.corruptions_fixed++;
    }
    if (repair != Repair::nothing) TRY(file_->flush());
    return report;
}

}  // namespace viv::block::vhd
