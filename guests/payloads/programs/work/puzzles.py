"""Work for Python's interpreter: a search with recursion, words in dictionaries, objects and methods, big integers, text."""

import collections
import json
import re
import sys


def queens(size: int, row: int = 0, columns: int = 0, up: int = 0, down: int = 0) -> int:
    if row == size:
        return 1
    found = 0
    free = ~(columns | up | down) & ((1 << size) - 1)
    while free:
        place = free & -free
        free ^= place
        found += queens(size, row + 1, columns | place, (up | place) << 1, (down | place) >> 1)
    return found


class Matrix:
    def __init__(self, rows: list[list[int]]):
        self.rows = rows

    def __mul__(self, other: "Matrix") -> "Matrix":
        columns = list(zip(*other.rows))
        return Matrix([[sum(a * b for a, b in zip(row, column)) % 1000003 for column in columns] for row in self.rows])


def main() -> None:
    print(queens(7))
    with open(sys.argv[1], encoding="utf-8", errors="replace") as file:
        text = file.read(400000)
    words = collections.Counter(re.findall(r"[a-z_]{3,}", text))
    print(words.most_common(20))
    ordered = sorted(words, key=lambda word: (len(word), word[::-1]))
    print(len(json.dumps({word: words[word] for word in ordered})), ordered[-5:])
    matrix = Matrix([[(3 * row + 5 * column) % 17 for column in range(24)] for row in range(24)])
    print(sum(map(sum, (matrix * matrix * matrix).rows)))
    number = 1
    for factor in range(2, 800):
        number *= factor
    print(sum(map(int, str(number))))


if __name__ == "__main__":
    main()
