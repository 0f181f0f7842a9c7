// Result<T>: a value, or the one-line message that the user will read.
// Promises: no exceptions. An Error's message names the file or option at fault and what would be right, without a
// final full stop. TRY(expression) yields the value of a Result or returns its error from the enclosing function.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace viv {

struct Error {
    std::string message;
};

template <class T = void>
class [[nodiscard]] Result {
public:
    Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

    bool ok() const { return content_.index() == 0; }
    explicit operator bool() const { return ok(); }

    // Valid only when ok().
    T& value() & { return *std::get_if<0>(&content_); }
    const T& value() const& { return *std::get_if<0>(&content_); }
    T&& value() && { return std::move(*std::get_if<0>(&content_)); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T* operator->() { return &value(); }

    // Valid only when !ok().
    const Error& error() const { return *std::get_if<1>(&content_); }

private:
    std::variant<T, Error> content_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::move(error)), ok_(false) {}

    bool ok() const { return ok_; }
    explicit operator bool() const { return ok_; }
    void value() const {}
    const Error& error() const { return error_; }

private:
    Error error_;
    bool ok_ = true;
};

}  // namespace viv

#define VIV_CONCAT_INNER(a, b) a##b
#define VIV_CONCAT(a, b) VIV_CONCAT_INNER(a, b)

// TRY(call()); for a Result<void>, TRY_SET(auto x, call()); for a value.
#define TRY(expression)                                                                                \
    do {                                                                                               \
        if (auto try_result = (expression); !try_result.ok()) return ::viv::Error(try_result.error()); \
    } while (false)

#define TRY_SET(declaration, expression) TRY_SET_INNER(declaration, expression, VIV_CONCAT(try_result_, __LINE__))
#define TRY_SET_INNER(declaration, expression, name)   \
    auto name = (expression);                          \
    if (!name.ok()) return ::viv::Error(name.error()); \
    declaration = std::move(name).value()
