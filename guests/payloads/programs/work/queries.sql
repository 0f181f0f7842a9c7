-- Tables, an index, joins, sums and a sort: what a small program asks of a data base. Integers only, and no clock.
PRAGMA journal_mode = MEMORY;
BEGIN;
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, town INTEGER, age INTEGER);
CREATE TABLE town (id INTEGER PRIMARY KEY, name TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
INSERT INTO town SELECT i, printf('town-%04x', i * 7919 % 65536) FROM n;
WITH RECURSIVE n(i, r) AS (SELECT 1, 12345 UNION ALL SELECT i + 1, (r * 1103515245 + 12345) % 2147483648 FROM n WHERE i < 12000)
INSERT INTO person SELECT i, printf('%08x', r), r / 65536 % 200 + 1, r / 1024 % 90 FROM n;
COMMIT;
CREATE INDEX person_town ON person (town, age);
SELECT town.name, count(*), sum(age), max(person.name) FROM person JOIN town ON town.id = person.town
GROUP BY town.id ORDER BY sum(age) DESC, town.name LIMIT 20;
UPDATE person SET age = age + 1 WHERE town % 3 = 0;
DELETE FROM person WHERE age > 80 AND name LIKE '%f%';
SELECT a.age, count(*) FROM person a JOIN person b ON a.town = b.town AND a.age = b.age AND a.id < b.id GROUP BY a.age ORDER BY a.age;
SELECT substr(name, 1, 2) AS start, count(*), min(id) FROM person GROUP BY start ORDER BY count(*) DESC, start LIMIT 30;
SELECT count(*), sum(age), group_concat(name, '') LIKE '%abc%' FROM person;
