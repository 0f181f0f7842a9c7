// The software TLB: what it holds, what the victims give back, and that sites never outlive their entries.
#include "engine/mem/tlb.h"

#include <gtest/gtest.h>

#include <memory>

namespace viv {
namespace {

constexpr u64 page = 0x7000, other_page = page + (u64{Tlb::size} << page_bits);  // in the same place
constexpr u64 physical = 0x8000'0000;

class TlbTest : public ::testing::Test {
protected:
    static TlbEntry entry_for(u64 address, u64 physical_page = physical) {
        return {.read = address, .write = address, .addend = 0x1000, .physical = physical_page};
    }
    // As generated code does it.
    void fill_sites() {
        auto* const bytes = reinterpret_cast<char*>(tlb_->entries());
        for (const usize site : {Tlb::load_site(3), Tlb::store_site(Tlb::sites - 1)})
            *reinterpret_cast<TlbSite*>(bytes + site) = {page, 0x1000};
        *reinterpret_cast<u64*>(bytes + Tlb::sites_filled) = 1;
    }
    bool sites_are_filled() {
        auto* const bytes = reinterpret_cast<char*>(tlb_->entries());
        const auto filled = [&](usize site) { return reinterpret_cast<TlbSite*>(bytes + site)->page == page; };
        EXPECT_EQ(filled(Tlb::load_site(3)), filled(Tlb::store_site(Tlb::sites - 1)));
        return filled(Tlb::load_site(3));
    }
    const TlbEntry& entry(u64 address) { return Tlb::at(tlb_->entries(), address); }

    std::unique_ptr<Tlb> tlb_ = std::make_unique<Tlb>();
};

TEST_F(TlbTest, HoldsWhatIsInsertedUntilItIsFlushed) {
    EXPECT_EQ(entry(page).read, TlbEntry::invalid);
    tlb_->insert(page, entry_for(page));
    EXPECT_EQ(entry(page + 0xfff).read, page);
    tlb_->flush();
    EXPECT_EQ(entry(page).read, TlbEntry::invalid);
}

TEST_F(TlbTest, RecallsWhatHasBeenDisplaced) {
    tlb_->insert(page, entry_for(page));
    tlb_->insert(other_page, entry_for(other_page));
    EXPECT_EQ(entry(page).read, other_page);
    ASSERT_NE(tlb_->recall(page), nullptr);
    EXPECT_EQ(entry(page).read, page);
    EXPECT_NE(tlb_->recall(other_page), nullptr);
    EXPECT_EQ(tlb_->recall(page + page_size), nullptr);
}

TEST_F(TlbTest, ProtectsAPhysicalPageWhereverItIs) {
    tlb_->insert(page, entry_for(page));
    tlb_->insert(other_page, entry_for(other_page));
    tlb_->protect(physical);
    EXPECT_EQ(entry(other_page).write, TlbEntry::invalid);
    EXPECT_EQ(entry(other_page).read, other_page);
    EXPECT_EQ(tlb_->recall(page)->write, TlbEntry::invalid);
}

TEST_F(TlbTest, SitesAreForgottenWithAnyEntry) {
    tlb_->insert(page, entry_for(page));
    fill_sites();
    tlb_->flush_page(page);
    EXPECT_FALSE(sites_are_filled());

    tlb_->insert(page, entry_for(page));
    fill_sites();
    tlb_->protect(physical);
    EXPECT_FALSE(sites_are_filled());

    fill_sites();
    tlb_->flush();
    EXPECT_FALSE(sites_are_filled());
}

TEST_F(TlbTest, SitesAreForgottenWhenTheirPageIsMappedAnew) {
    tlb_->insert(page, entry_for(page));
    fill_sites();
    tlb_->insert(page, entry_for(page, physical + page_size));
    EXPECT_FALSE(sites_are_filled());

    // From among the victims, too.
    fill_sites();
    tlb_->insert(other_page, entry_for(other_page));
    EXPECT_TRUE(sites_are_filled());
    tlb_->insert(page, entry_for(page));
    EXPECT_FALSE(sites_are_filled());
}

TEST_F(TlbTest, SitesStayAsLongAsTheirEntryIsSomewhere) {
    tlb_->insert(page, entry_for(page));
    fill_sites();
    for (u64 i = 1; i <= Tlb::victims; i++) {
        const u64 next = page + i * (u64{Tlb::size} << page_bits);
        tlb_->insert(next, entry_for(next));
        EXPECT_TRUE(sites_are_filled()) << i;
    }
    const u64 last = page + (Tlb::victims + 1) * (u64{Tlb::size} << page_bits);
    tlb_->insert(last, entry_for(last));
    EXPECT_FALSE(sites_are_filled());
    EXPECT_EQ(tlb_->recall(page), nullptr);
}

}  // namespace
}  // namespace viv
