// See check.h.
#include "engine/block/qcow2/check.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/block/qcow2/rebuild.h"
#include "engine/block/qcow2/refcounts.h"
#include "engine/block/qcow2/snapshot_table.h"
#include "engine/block/qcow2/walk.h"
#include "engine/lang/bytes.h"

namespace viv::block::qcow2 {

namespace {

class Check {
public:
    Check(host::File& file, const std::string& name, Header header)
        : file_(file),
          name_(name),
          header_(std::move(header)),
          geometry_(header_),
          walk_(file, name, header_),
          counts_in_file_(file, header_, name) {}

    Result<CheckReport> run(Repair repair) {
        repair_ = repair;
        walk_.bad_entry = [this](std::string what) { corruption("ERROR " + what); };
        TRY(counts_in_file_.load(ReadFor::repair));
        if (header_.reftable_clusters == 0) corruption("ERROR the table of reference counts cannot be");
        TRY(count_references());
        TRY(compare_counts());
        TRY(check_flags());
        report_.total_clusters = geometry_.clusters_of(header_.size);
        report_.image_end = counts_.end() << geometry_.cluster_bits;
        return std::move(report_);
    }

    // The same state with tables that are right.
    Result<void> mend() {
        return rebuild(file_, name_, header_, {header_.size, tables_.l1, snapshots_}, Placement::at_end);
    }

private:
    void corruption(std::string line) {
        report_.corruptions++;
        report_.finding(std::move(line));
    }

    Result<void> count_references() {
        const auto add_bytes = [&](u64 offset, u64 bytes) {
            return counts_.add(offset >> geometry_.cluster_bits, geometry_.clusters_of(bytes), 1);
        };
        TRY(counts_.add(0, 1, 1));
        u64 snapshot_bytes = 0;
        TRY_SET(snapshots_, read_snapshots(file_, header_, name_, &snapshot_bytes));
        if (snapshot_bytes != 0) TRY(add_bytes(header_.snapshots_offset, snapshot_bytes));
        TRY_SET(tables_.l1, walk_.read_l1(header_.l1_offset, header_.l1_entries));
        if (!tables_.l1.empty()) TRY(add_bytes(header_.l1_offset, tables_.l1.size() * 8));
        u64 entries = 0;
        for (const auto& snapshot : snapshots_) {
            entries += snapshot.l1_entries;
            if (entries > most_l1_entries_together)
                return Error{fmt::format("{}: has too many snapshots to be checked", name_)};
            TRY_SET(auto l1, walk_.read_l1(snapshot.l1_offset, snapshot.l1_entries));
            if (!l1.empty()) TRY(add_bytes(snapshot.l1_offset, l1.size() * 8));
            tables_.snapshot_l1.push_back(std::move(l1));
        }
        if (header_.reftable_clusters != 0)
            TRY(add_bytes(header_.reftable_offset, u64{header_.reftable_clusters} << geometry_.cluster_bits));
        for (usize i = 0; i < counts_in_file_.table().size(); i++) {
            const u64 block = counts_in_file_.table()[i];
            if (block == 0) continue;
            if (!good_block(block))
                corruption(fmt::format("ERROR block {} of reference counts is at {:#x}, which cannot be", i, block));
            else
                TRY(add_bytes(block, geometry_.cluster_size));
        }
        WalkStatistics statistics;
        TRY(walk_.count(tables_, counts_, &statistics));
        report_.allocated_clusters = statistics.allocated;
        report_.compressed_clusters = statistics.compressed;
        report_.fragmented_clusters = statistics.fragmented;
        if (header_.encrypted()) TRY(add_bytes(header_.luks_offset, header_.luks_bytes));
        return count_bitmaps(file_, name_, header_, counts_);
    }

    bool good_block(u64 block) const {
        return block % geometry_.cluster_size == 0 && range_fits(block, geometry_.cluster_size, walk_.file_end());
    }

    Result<void> compare_counts() {
        const auto& table = counts_in_file_.table();
        std::vector<u8> block(geometry_.cluster_size);
        for (u64 number = 0; number < table.size(); number++) {
            if (table[number] == 0 || !good_block(table[number])) continue;
            TRY(read_padded(file_, table[number], block));
            TRY(compare_block(number, block));
        }
        // Clusters in use whose block is missing.
        for (const auto& [chunk, part] : counts_.chunks()) {
            for (u64 i = 0; i < part->size(); i++) {
                const u64 cluster = chunk * ReferenceCounts::chunk + i, number = cluster >> geometry_.block_bits;
                if ((*part)[i] != 0 && (number >= table.size() || table[number] == 0 || !good_block(table[number])))
                    too_low(cluster, 0, (*part)[i]);
            }
        }
        return {};
    }

    void too_low(u64 cluster, u64 count, u64 references) {
        corruption(fmt::format("ERROR cluster {} refcount={} reference={}", cluster, count, references));
    }

    Result<void> compare_block(u64 number, std::vector<u8>& block) {
        const u64 base = number << geometry_.block_bits;
        if (all_zero(block) && !counts_.any(base, geometry_.block_entries())) return {};
        bool changed = false;
        for (u64 i = 0; i < geometry_.block_entries(); i++) {
            const u64 count = Refcounts::count_in(block.data(), i, geometry_.refcount_bits);
            const u64 references = counts_.get(base + i);
            if (count == references) continue;
            if (count < references) {
                too_low(base + i, count, references);
            } else if (repair_ != Repair::nothing && report_.corruptions == 0) {
                report_.finding(
                    fmt::format("Repairing cluster {} refcount={} reference={}", base + i, count, references));
                report_.leaks_fixed++;
                Refcounts::set_count_in(block.data(), i, geometry_.refcount_bits, references);
                changed = true;
            } else {
                report_.finding(fmt::format("Leaked cluster {} refcount={} reference={}", base + i, count, references));
                report_.leaks++;
            }
        }
        return changed ? file_.write_at(counts_in_file_.table()[number], block) : Result<void>{};
    }

    // A flag says that one reference is all there is; who trusts it writes in place.
    Result<void> check_flags() {
        std::vector<u8> bytes;
        for (usize index = 0; index < tables_.l1.size(); index++) {
            const u64 l1_entry = tables_.l1[index];
            if ((l1_entry & entry_offset) == 0 || !walk_.good_table(l1_entry)) continue;
            TRY(check_flag("L2 table", l1_entry));
            TRY(walk_.read_l2(l1_entry & entry_offset, bytes));
            for (u64 at = 0; at < bytes.size(); at += geometry_.l2_entry_bytes) {
                const u64 entry = load_be<u64>(&bytes[at]);
                if (!walk_.good_entry(entry)) continue;
                if (geometry_.external) {
                    check_external(index * geometry_.l2_entries() + at / geometry_.l2_entry_bytes, entry);
                } else if ((entry & entry_compressed) != 0) {
                    if ((entry & entry_copied) != 0)
                        corruption(fmt::format("ERROR a compressed cluster ({:#x}) has the COPIED flag", entry));
                } else if ((entry & entry_offset) != 0) {
                    TRY(check_flag("data cluster", entry));
                }
            }
        }
        return {};
    }

    void check_external(u64 cluster, u64 entry) {
        if (!geometry_.has_place(entry)) return;
        if ((entry & entry_offset) != cluster << geometry_.cluster_bits)
            corruption(fmt::format("ERROR cluster {} of the disk is not where it must be in the data file: entry={:#x}",
                                   cluster, entry));
        else if ((entry & entry_copied) == 0)
            corruption(fmt::format("ERROR OFLAG_COPIED data cluster: entry={:#x} in a data file", entry));
    }

    Result<void> check_flag(std::string_view what, u64 entry) {
        const auto count = counts_in_file_.get((entry & entry_offset) >> geometry_.cluster_bits);
        if (!count.ok()) return {};  // its block cannot be, which has been said
        if ((*count == 1) != ((entry & entry_copied) != 0))
            corruption(fmt::format("ERROR OFLAG_COPIED {}: entry={:#x} refcount={}", what, entry, *count));
        return {};
    }

    host::File& file_;
    const std::string& name_;
    Header header_;
    Geometry geometry_;
    Walk walk_;
    Refcounts counts_in_file_;
    ReferenceCounts counts_;
    TableSet tables_;
    std::vector<Snapshot> snapshots_;
    CheckReport report_;
    Repair repair_ = Repair::nothing;
};

}  // namespace

Result<CheckReport> check_image(host::File& file, const std::string& name, Repair repair) {
    TRY_SET(auto header, read_header(file, name, ReadFor::repair));
    const u64 marks = header.incompatible & (incompatible::dirty | incompatible::corrupt);
    Check first(file, name, header);
    TRY_SET(auto report, first.run(repair));
    if (repair != Repair::everything || (report.corruptions == 0 && marks == 0)) return report;

    TRY(first.mend());
    TRY_SET(header, read_header(file, name, ReadFor::repair));
    Check second(file, name, header);
    TRY_SET(auto after, second.run(Repair::nothing));
    after.corruptions_fixed = report.corruptions > after.corruptions ? report.corruptions - after.corruptions : 0;
    after.leaks_fixed = report.leaks + report.leaks_fixed;
    after.findings.insert(after.findings.begin(), report.findings.begin(), report.findings.end());
    if (after.findings.size() > CheckReport::most_findings) after.findings.resize(CheckReport::most_findings);
    return after;
}

}  // namespace viv::block::qcow2
