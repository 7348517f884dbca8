create table authors(id integer primary key, name text not null unique);
create table books(id integer primary key, author integer references authors(id), title text, price real);
begin;
insert into authors(name) select 'author ' || value from generate_series(1, 100);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000)
    insert into books(author, title, price) select 1 + i % 100, 'title ' || i, i / 4.0 from n;
commit;
create index books_author on books(author);
create index books_title on books(title, price);
select count(*), sum(price), max(length(title)) from books;
select name, count(*), round(avg(price), 3) from authors join books on author = authors.id
    where title like 'title 9%' group by name order by 3 desc, 1 limit 5;
explain query plan select * from books where author = 7;
begin;
delete from books;
rollback;
savepoint half;
update books set price = price * 2 where id % 2 = 0;
release half;
select count(*), sum(price) from books;
insert into authors(id, name) values (1, 'twice');
select changes(), total_changes();
create virtual table words using fts5(text);
insert into words select title || ' by ' || name from authors join books on author = authors.id where books.id <= 500;
select count(*) from words where words match '"author 7"';
create virtual table places using rtree(id, x0, x1, y0, y1);
insert into places select value, value, value + 1, -value, 1 - value from generate_series(1, 200);
select count(*) from places where x0 >= 50 and x1 <= 60;
pragma temp_store = file;
pragma cache_size = 10;
select hex(max(title)), count(*) from (select title, price from books order by price * 7 % 1000, title);
delete from books where id % 3 = 0;
vacuum;
pragma integrity_check;
pragma foreign_key_check;
.mode csv
.output books.csv
select * from books order by id;
.output stdout
create table again(id, author, title, price real);
.import books.csv again
select count(*), max(price), sum(price) from again;
.backup copy.db
select round(sqrt(2), 9), printf('%.3e', 12345.678), strftime('%Y-%m-%d', 0, 'unixepoch'), json_extract('{"a":[1,2.5]}', '$.a[1]');
pragma journal_mode = truncate;
insert into authors(name) values ('last');
pragma journal_mode = delete;
select count(*) from authors;
