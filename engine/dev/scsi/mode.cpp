// See mode.h.
#include "engine/dev/scsi/mode.h"

#include <algorithm>

#include "engine/lang/bytes.h"

namespace viv::scsi {

namespace {

bool is_long(const std::array<u8, 16>& cdb) { return cdb[0] == mode_sense_10 || cdb[0] == mode_select_10; }

}  // namespace

u64 mode_length(const std::array<u8, 16>& cdb) { return is_long(cdb) ? load_be<u16>(&cdb[7]) : u64{cdb[4]}; }

Sense sense_modes(const std::array<u8, 16>& cdb, const ModeSet& modes, const ModeSet& defaults, std::vector<u8>& data) {
    constexpr u8 all_pages = 0x3f, all_subpages = 0xff, no_descriptors = 8;
    enum Control : u8 { current, changeable, by_default, saved };
    const u8 control = cdb[2] >> 6, page = cdb[2] & 0x3f, subpage = cdb[3];
    if (control == saved) return sense::saving_unsupported;
    if (subpage != 0 && (subpage != all_subpages || page != all_pages)) return sense::bad_field;
    const bool described = (cdb[1] & no_descriptors) == 0 && !modes.descriptor.empty();
    const u8 descriptor_size = described ? 8 : 0;
    if (is_long(cdb))
        data = {0, 0, modes.medium_type, modes.device_specific, 0, 0, 0, descriptor_size};
    else
        data = {0, modes.medium_type, modes.device_specific, descriptor_size};
    if (described) data.insert(data.end(), modes.descriptor.begin(), modes.descriptor.end());
    bool any = page == all_pages;
    for (usize i = 0; i < modes.pages.size(); i++) {
        const ModePage& each = modes.pages[i];
        if (page != all_pages && page != (each.now[0] & 0x3f)) continue;
        any = true;
        const auto& bytes = control == by_default ? defaults.pages[i].now : each.now;
        data.insert(data.end(), bytes.begin(), bytes.end());
        if (control == changeable)
            std::copy(each.changeable.begin() + 2, each.changeable.end(),
                      data.end() - static_cast<std::ptrdiff_t>(bytes.size() - 2));
    }
    if (!any) return sense::bad_field;
    if (is_long(cdb))
        store_be<u16>(&data[0], static_cast<u16>(data.size() - 2));
    else
        data[0] = static_cast<u8>(data.size() - 1);
    return sense::none;
}

Sense select_modes(const std::array<u8, 16>& cdb, const ModeSet& modes, std::span<const u8> list,
                   std::vector<std::vector<u8>>& pages) {
    constexpr u8 page_format = 0x10, save = 1;
    if ((cdb[1] & page_format) == 0 || (cdb[1] & save) != 0) return sense::bad_field;
    if (list.empty()) return sense::none;
    const usize header = is_long(cdb) ? 8 : 4;
    if (list.size() < header) return sense::list_length;
    const usize descriptors = is_long(cdb) ? load_be<u16>(&list[6]) : list[3];
    if (descriptors != 0 && descriptors != modes.descriptor.size()) return sense::bad_parameter;
    if (list.size() < header + descriptors) return sense::list_length;
    // Only the block length counts, and it cannot be changed.
    if (descriptors != 0 &&
        !std::equal(list.begin() + static_cast<std::ptrdiff_t>(header) + 5,
                    list.begin() + static_cast<std::ptrdiff_t>(header) + 8, modes.descriptor.begin() + 5))
        return sense::bad_parameter;
    list = list.subspan(header + descriptors);
    while (!list.empty()) {
        if (list.size() < 2) return sense::list_length;
        const auto found = std::find_if(modes.pages.begin(), modes.pages.end(), [&](const ModePage& page) {
            return page.now[0] == (list[0] & 0x7f) && page.now[1] == list[1];
        });
        if (found == modes.pages.end()) return sense::bad_parameter;
        const usize size = found->now.size();
        if (list.size() < size) return sense::list_length;
        for (usize i = 2; i < size; i++)
            if (((list[i] ^ found->now[i]) & ~found->changeable[i]) != 0) return sense::bad_parameter;
        pages.emplace_back(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(size));
        list = list.subspan(size);
    }
    return sense::none;
}

}  // namespace viv::scsi
