// A host::Folder in memory, for tests of the 9p server: the same on every host, with descriptors that can run out,
// inode numbers that can be reused, and a host side that moves and removes files behind the guest's back.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/host/folder.h"

namespace viv::test {

class MemoryFolder final : public host::Folder {
public:
    struct Inode {
        u64 number = 0;
        u32 mode = 0, links = 1, uid = 1000, gid = 1000;
        i64 modified_s = 1'700'000'000;
        u32 modified_ns = 0;
        std::string contents;  // of a link: where it points
        std::map<std::string, std::shared_ptr<Inode>> names;
        bool is_directory() const { return (mode & 0170000) == 0040000; }
        bool is_symlink() const { return (mode & 0170000) == 0120000; }
    };
    using InodePointer = std::shared_ptr<Inode>;

    MemoryFolder() : top_(make(0040755)) {
        top_->links = 2;
        root_ = std::make_shared<Node>(*this, top_);
    }

    // The host's side. Paths are "a/b/c".
    InodePointer at(std::string_view path) const {
        InodePointer inode = top_;
        while (!path.empty() && inode != nullptr) {
            const auto slash = path.find('/');
            const auto found = inode->names.find(std::string(path.substr(0, slash)));
            inode = found == inode->names.end() ? nullptr : found->second;
            path = slash == path.npos ? std::string_view{} : path.substr(slash + 1);
        }
        return inode;
    }
    InodePointer put(std::string_view path, std::string contents, u32 mode = 0100644) {
        const auto slash = path.rfind('/');
        const InodePointer directory = at(slash == path.npos ? std::string_view{} : path.substr(0, slash));
        const InodePointer inode = make(mode);
        inode->contents = std::move(contents);
        directory->names[std::string(slash == path.npos ? path : path.substr(slash + 1))] = inode;
        return inode;
    }
    InodePointer put_directory(std::string_view path) { return put(path, "", 0040755); }
    void erase(std::string_view path) {
        const auto slash = path.rfind('/');
        at(slash == path.npos ? std::string_view{} : path.substr(0, slash))
            ->names.erase(std::string(slash == path.npos ? path : path.substr(slash + 1)));
    }

    usize held = 0;                // nodes and open files that live
    usize maximum_held = 100'000;  // at this many, EMFILE
    usize lists = 0;               // how often a directory was listed
    u64 device = 7;

    NodePointer root() override { return root_; }
    host::Outcome<NodePointer> lookup(host::FolderNode& directory, std::string_view name) override {
        Inode& inode = of(directory);
        if (!inode.is_directory()) return fail(20);
        const auto found = inode.names.find(std::string(name));
        if (found == inode.names.end()) return fail(2);
        if (held >= maximum_held) return fail(24);
        return node(found->second);
    }
    host::Outcome<host::FileAttributes> attributes(host::FolderNode& node) override {
        const Inode& inode = of(node);
        host::FileAttributes attributes;
        attributes.device = device;
        attributes.inode = inode.number;
        attributes.mode = inode.mode;
        attributes.links = inode.links;
        attributes.uid = inode.uid;
        attributes.gid = inode.gid;
        attributes.size = inode.contents.size();
        attributes.block_size = 4096;
        attributes.blocks = (inode.contents.size() + 511) / 512;
        attributes.special_device = 0x123;
        attributes.accessed_s = 11, attributes.accessed_ns = 12;
        attributes.modified_s = inode.modified_s, attributes.modified_ns = inode.modified_ns;
        attributes.changed_s = 15, attributes.changed_ns = 16;
        return attributes;
    }
    u32 change(host::FolderNode& node, const host::AttributeChange& change) override {
        Inode& inode = of(node);
        last_change = change;
        if (change.set_uid && change.uid == 0) return 1;
        if (change.set_mode) inode.mode = (inode.mode & 0170000) | change.mode;
        if (change.set_size && change.size > 1 << 20) return 27;
        if (change.set_size) inode.contents.resize(change.size);
        if (change.modified == host::AttributeChange::Time::given) {
            inode.modified_s = change.modified_s;
            inode.modified_ns = change.modified_ns;
        }
        return 0;
    }
    host::Outcome<FilePointer> open(host::FolderNode& node, u32 flags) override {
        const InodePointer inode = static_cast<Node&>(node).inode;
        if (inode->is_symlink()) return host::Outcome<FilePointer>::fail(40);
        if (inode->is_directory() && (flags & 3) != 0) return host::Outcome<FilePointer>::fail(21);
        if (held >= maximum_held) return host::Outcome<FilePointer>::fail(24);
        if ((flags & 01000) != 0) inode->contents.clear();
        return FilePointer(std::make_unique<File>(*this, inode, flags));
    }
    host::Outcome<NodePointer> create(host::FolderNode& directory, std::string_view name, u32 flags, u32 mode,
                                      FilePointer& opened) override {
        Inode& parent = of(directory);
        if (!parent.is_directory()) return fail(20);
        InodePointer& inode = parent.names[std::string(name)];
        if (inode != nullptr && (flags & 0200) != 0) return fail(17);
        if (inode == nullptr) inode = make(0100000 | mode);
        const NodePointer made = node(inode);
        auto file = open(*made, flags);
        if (!file.ok()) return fail(file.error());
        opened = std::move(*file);
        return made;
    }
    host::Outcome<NodePointer> make_directory(host::FolderNode& directory, std::string_view name, u32 mode) override {
        return add(directory, name, 0040000 | mode, "");
    }
    host::Outcome<NodePointer> make_symlink(host::FolderNode& directory, std::string_view name,
                                            std::string_view target) override {
        return add(directory, name, 0120777, std::string(target));
    }
    host::Outcome<NodePointer> make_node(host::FolderNode& directory, std::string_view name, u32 mode,
                                         u64 special) override {
        last_special = special;
        return add(directory, name, mode, "");
    }
    u32 link(host::FolderNode& directory, std::string_view name, host::FolderNode& target) override {
        const InodePointer inode = static_cast<Node&>(target).inode;
        if (inode->is_directory()) return 1;
        if (!of(directory).is_directory()) return 20;
        if (!of(directory).names.emplace(std::string(name), inode).second) return 17;
        inode->links++;
        return 0;
    }
    host::Outcome<std::string> read_link(host::FolderNode& node) override {
        if (!of(node).is_symlink()) return host::Outcome<std::string>::fail(22);
        return of(node).contents;
    }
    host::Outcome<std::vector<host::FolderEntry>> list(host::FolderNode& directory) override {
        using Entries = std::vector<host::FolderEntry>;
        if (!of(directory).is_directory()) return host::Outcome<Entries>::fail(20);
        lists++;
        Entries entries;
        for (const auto& [name, inode] : of(directory).names)
            entries.push_back({name, inode->number, static_cast<u8>(inode->mode >> 12)});
        return entries;
    }
    u32 remove(host::FolderNode& directory, std::string_view name, bool directory_wanted) override {
        Inode& parent = of(directory);
        const auto found = parent.names.find(std::string(name));
        if (found == parent.names.end()) return 2;
        const InodePointer inode = found->second;
        if (directory_wanted != inode->is_directory()) return directory_wanted ? 20 : 21;
        if (!inode->names.empty()) return 39;
        parent.names.erase(found);
        inode->links--;
        return 0;
    }
    u32 rename(host::FolderNode& from, std::string_view old_name, host::FolderNode& to,
               std::string_view new_name) override {
        const auto found = of(from).names.find(std::string(old_name));
        if (found == of(from).names.end()) return 2;
        if (!of(to).is_directory()) return 20;
        const InodePointer inode = found->second;
        if (inode->is_directory() && contains(inode, static_cast<Node&>(to).inode)) return 22;
        const auto over = of(to).names.find(std::string(new_name));
        if (over != of(to).names.end() && over->second == inode) return 0;
        if (over != of(to).names.end()) {
            if (over->second->is_directory() != inode->is_directory()) return inode->is_directory() ? 20 : 21;
            if (!over->second->names.empty()) return 39;
            over->second->links--;
        }
        of(from).names.erase(found);
        of(to).names[std::string(new_name)] = inode;
        return 0;
    }
    host::Outcome<host::FolderStatistics> statistics(host::FolderNode&) override {
        return host::FolderStatistics{1, 2, 3, 4, 5, 6, 7, 8, 255};
    }

    host::AttributeChange last_change;
    u64 last_special = 0;

private:
    struct Node final : host::FolderNode {
        Node(MemoryFolder& in, InodePointer of) : folder(in), inode(std::move(of)) { folder.held++; }
        ~Node() override { folder.held--; }
        MemoryFolder& folder;
        InodePointer inode;
    };
    struct File final : host::OpenFile {
        File(MemoryFolder& in, InodePointer of, u32 with) : folder(in), inode(std::move(of)), flags(with) {
            folder.held++;
        }
        ~File() override { folder.held--; }
        host::Outcome<u32> read(u64 offset, std::span<u8> out) override {
            if ((flags & 3) == 1) return host::Outcome<u32>::fail(9);
            if (offset >= inode->contents.size()) return u32{0};
            const usize count = std::min(out.size(), inode->contents.size() - static_cast<usize>(offset));
            std::copy_n(inode->contents.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
            return static_cast<u32>(count);
        }
        host::Outcome<u32> write(u64 offset, std::span<const u8> in) override {
            if ((flags & 3) == 0) return host::Outcome<u32>::fail(9);
            if (offset > 1 << 20) return host::Outcome<u32>::fail(27);
            if ((flags & 02000) != 0) offset = inode->contents.size();
            if (inode->contents.size() < offset + in.size()) inode->contents.resize(offset + in.size());
            std::copy(in.begin(), in.end(), inode->contents.begin() + static_cast<std::ptrdiff_t>(offset));
            inode->modified_ns++;
            return static_cast<u32>(in.size());
        }
        u32 sync(bool data_only) override { return folder.syncs++, folder.last_data_only = data_only, 0; }
        MemoryFolder& folder;
        InodePointer inode;
        u32 flags;
    };

public:
    usize syncs = 0;
    bool last_data_only = false;
    u64 next_number = 100;

private:
    static host::Outcome<NodePointer> fail(u32 error) { return host::Outcome<NodePointer>::fail(error); }
    static Inode& of(host::FolderNode& node) { return *static_cast<Node&>(node).inode; }
    NodePointer node(InodePointer inode) { return std::make_shared<Node>(*this, std::move(inode)); }
    InodePointer make(u32 mode) {
        auto inode = std::make_shared<Inode>();
        inode->number = next_number++;
        inode->mode = mode;
        return inode;
    }
    host::Outcome<NodePointer> add(host::FolderNode& directory, std::string_view name, u32 mode, std::string contents) {
        if (!of(directory).is_directory()) return fail(20);
        InodePointer& inode = of(directory).names[std::string(name)];
        if (inode != nullptr) return fail(17);
        inode = make(mode);
        inode->contents = std::move(contents);
        return node(inode);
    }
    static bool contains(const InodePointer& above, const InodePointer& inode) {
        if (above == inode) return true;
        return std::any_of(above->names.begin(), above->names.end(),
                           [&](const auto& entry) { return contains(entry.second, inode); });
    }

    InodePointer top_;
    NodePointer root_;
};

}  // namespace viv::test
