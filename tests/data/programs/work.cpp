// Streams, files, exceptions and, with the argument "threads", threads; prints the same wherever it
// runs.
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <future>
#include <iostream>
#include <mutex>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

namespace files = std::filesystem;

static void work_with_files() {
    files::create_directories("made/deep");
    {
        std::ofstream out("made/deep/lines");
        for (int i = 0; i < 1000; i++) {
            out << "line " << i << '\n';
        }
    }
    std::ifstream in("made/deep/lines");
    std::string line;
    size_t n = 0, bytes = 0;
    while (std::getline(in, line)) {
        n++;
        bytes += line.size();
    }
    std::cout << "lines " << n << ' ' << bytes << ' ' << line << '\n';
    files::copy("made", "copied", files::copy_options::recursive);
    files::rename("copied/deep/lines", "copied/lines");
    files::permissions("copied/lines", files::perms::owner_read | files::perms::owner_write);
    files::create_symlink("lines", "copied/link");
    files::create_hard_link("copied/lines", "copied/second");
    files::resize_file("made/deep/lines", 10);
    std::set<std::string> names;
    for (const auto &entry : files::recursive_directory_iterator(".")) {
        names.insert(entry.path().string() + (entry.is_directory() ? "/" : ""));
    }
    for (const auto &name : names) {
        std::cout << name << ' ';
    }
    std::cout << files::file_size("made/deep/lines") << ' ' << files::hard_link_count("copied/second") << ' '
              << files::canonical("made/../copied/link").filename() << ' ' << files::read_symlink("copied/link")
              << '\n';
    files::last_write_time("made/deep/lines", files::last_write_time("words"));
    std::error_code code;
    files::remove("made", code);
    std::cout << "not empty " << (code == std::errc::directory_not_empty) << ", removed "
              << files::remove_all("copied") << '\n';
}

static void work_with_threads() {
    std::mutex lock;
    std::condition_variable changed;
    std::deque<int> queue;
    std::vector<std::thread> workers;
    int total = 0, done = 0;
    for (int n = 0; n < 4; n++) {
        workers.emplace_back([&] {
            std::unique_lock<std::mutex> held(lock);
            while (done < 4000) {
                changed.wait(held, [&] { return !queue.empty() || done == 4000; });
                while (!queue.empty()) {
                    total += queue.front();
                    queue.pop_front();
                    done++;
                }
                changed.notify_all();
            }
        });
    }
    for (int i = 0; i < 4000; i++) {
        std::lock_guard<std::mutex> held(lock);
        queue.push_back(1);
        changed.notify_one();
    }
    for (auto &worker : workers) {
        worker.join();
    }
    std::cout << "threads " << total << '\n';
    auto failing = std::async(std::launch::async, []() -> int { throw std::runtime_error("elsewhere"); });
    try {
        failing.get();
    } catch (const std::exception &error) {
        std::cout << "caught " << error.what() << '\n';
    }
    thread_local int own = 1;
    std::thread([] { own = 2; }).join();
    std::cout << "own " << own << '\n';
}

int main(int argc, char **argv) {
    const char *colour = std::getenv("COLOUR");
    std::cout << argc << ' ' << (colour ? colour : "none") << '\n';
    if (argc > 1 && argv[1] == std::string("threads")) {
        work_with_threads();
    }
    work_with_files();
    try {
        std::vector<int> none;
        std::cout << none.at(3);
    } catch (const std::out_of_range &error) {
        std::cout << "caught " << error.what() << '\n';
    }
    try {
        std::cout << files::file_size("made/nowhere");
    } catch (const files::filesystem_error &error) {
        std::cout << "caught " << error.code().message() << '\n';
    }
    const std::string text = "one 1, two 22, three 333";
    const std::regex pattern("([a-z]+) ([0-9]+)");
    for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it) {
        std::cout << (*it)[2] << '=' << (*it)[1] << ' ';
    }
    std::mt19937_64 numbers(7);
    std::cout << numbers() << ' ' << std::hash<std::string>()("") % 2 << '\n';
    std::random_device device;
    std::set<unsigned> seen;
    for (int i = 0; i < 100; i++) {
        seen.insert(device());
    }
    std::cout << "random " << (seen.size() > 90) << '\n';
    std::string input((std::istreambuf_iterator<char>(std::cin)), std::istreambuf_iterator<char>());
    std::cout << "input " << input.size() << '\n';
    auto begin = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::cout << "slept " << (std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(20)) << '\n';
    std::cerr << "on the other channel\n";
    std::exit(7);
}
