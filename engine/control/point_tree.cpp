// The tree of points: what may be in it, and how it looks. See points.h.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/control/points.h"

namespace viv {

Result<void> check_point_name(std::string_view name) {
    const bool printable = std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; });
    if (!name.empty() && name.size() <= Point::longest_name && printable && name.front() != ' ' && name.back() != ' ')
        return {};
    return Error{fmt::format("the name of a point is 1 to {} printable ASCII characters, with no blank at its ends",
                             Point::longest_name)};
}

Result<PointTree> PointTree::of(std::vector<Point> points) {
    PointTree tree;
    for (Point& point : points) TRY(tree.add(std::move(point)));
    return tree;
}

const Point* PointTree::find(std::string_view name) const {
    const auto found =
        std::find_if(points_.begin(), points_.end(), [&](const Point& point) { return point.name == name; });
    return found == points_.end() ? nullptr : &*found;
}

Result<void> PointTree::add(Point point) {
    TRY(check_point_name(point.name));
    if (find(point.name) != nullptr) return Error{fmt::format("there is a point '{}' already", point.name)};
    if (!point.parent.empty() && find(point.parent) == nullptr)
        return Error{fmt::format("the point '{}' comes from one that is not there", point.name)};
    if (points_.size() >= most) return Error{fmt::format("there are {} points; delete some", points_.size())};
    points_.push_back(std::move(point));
    return {};
}

void PointTree::remove(std::string_view name) {
    const Point* const found = find(name);
    if (found == nullptr) return;
    const Point gone = *found;
    std::erase_if(points_, [&](const Point& point) { return point.name == gone.name; });
    for (Point& point : points_)
        if (point.parent == gone.name) point.parent = gone.parent;
}

namespace {

// Days since 1970 to a date of the Gregorian calendar.
struct Date {
    u64 year;
    u64 month, day;
};
Date date_of(u64 days) {
    const auto leap = [](u64 year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; };
    constexpr u64 days_of_400_years = 146'097;
    Date date{1970 + days / days_of_400_years * 400, 1, 1};
    days %= days_of_400_years;
    for (u64 length; days >= (length = leap(date.year) ? 366 : 365); date.year++) days -= length;
    const std::array<u64, 12> lengths{31, leap(date.year) ? u64{29} : u64{28}, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (; days >= lengths[static_cast<usize>(date.month - 1)]; date.month++)
        days -= lengths[static_cast<usize>(date.month - 1)];
    date.day += days;
    return date;
}

std::string date_text(u64 realtime_ns) {
    const u64 seconds = realtime_ns / 1'000'000'000, of_day = seconds % 86'400;
    const Date date = date_of(seconds / 86'400);
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", date.year, date.month, date.day, of_day / 3'600,
                       of_day / 60 % 60, of_day % 60);
}

std::string guest_time_text(u64 guest_ns) {
    const u64 milliseconds = guest_ns / 1'000'000, seconds = milliseconds / 1'000;
    return fmt::format("{}:{:02}:{:02}.{:03}", seconds / 3'600, seconds / 60 % 60, seconds % 60, milliseconds % 1'000);
}

}  // namespace

nlohmann::json points_json(const PointTree& tree, std::string_view present) {
    nlohmann::json rows = nlohmann::json::array();
    constexpr u64 second = 1'000'000'000;
    for (const Point& point : tree.points()) {
        nlohmann::json row = nlohmann::json::object();
        row["name"] = point.name;
        if (!point.parent.empty()) row["parent"] = point.parent;
        row["present"] = point.name == present;
        row["date-sec"] = point.realtime_ns / second;
        row["date-nsec"] = point.realtime_ns % second;
        row["vm-clock-sec"] = point.guest_ns / second;
        row["vm-clock-nsec"] = point.guest_ns % second;
        row["instructions"] = point.instructions;
        row["vm-state-size"] = point.bytes;
        row["disks"] = point.disks;
        rows.push_back(std::move(row));
    }
    return rows;
}

std::string points_text(const PointTree& tree, std::string_view present) {
    if (tree.points().empty()) return "there are no points\n";
    std::map<std::string_view, std::vector<const Point*>> children;
    for (const Point& point : tree.points()) children[point.parent].push_back(&point);
    struct Row {
        std::string name;
        const Point* point;
    };
    std::vector<Row> rows;
    usize width = 4;
    // A stack instead of a function that calls itself: the tree may be as deep as it is large.
    struct Level {
        const std::vector<const Point*>* siblings;
        usize next = 0;
    };
    std::vector<Level> stack{{&children[""]}};
    while (!stack.empty()) {
        Level& level = stack.back();
        if (level.next == level.siblings->size()) {
            stack.pop_back();
            continue;
        }
        const Point* const point = (*level.siblings)[level.next++];
        // How far to the right is bounded, so that the text is in proportion to the tree.
        constexpr usize deepest = 40;
        rows.push_back({fmt::format("{:{}}{}", "", 2 * std::min(stack.size() - 1, deepest), point->name), point});
        width = std::max(width, rows.back().name.size());
        if (const auto below = children.find(point->name); below != children.end()) stack.push_back({&below->second});
    }
    std::string text = fmt::format("  {:<{}}  {:<19}  {:>14}  {:>9}  {}\n", "name", width, "date (UTC)", "guest time",
                                   "size", "disks");
    for (const auto& [name, point] : rows)
        text += fmt::format("{} {:<{}}  {}  {:>14}  {:>7.1f} M  {}\n", point->name == present ? '*' : ' ', name, width,
                            date_text(point->realtime_ns), guest_time_text(point->guest_ns),
                            static_cast<double>(point->bytes) / 1e6, fmt::join(point->disks, " "));
    return text;
}

}  // namespace viv
