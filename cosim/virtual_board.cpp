// SPDX-License-Identifier: Apache-2.0
// A board whose serial pins are on a TCP socket, a pseudo terminal, or both: its top level in Verilator, a UART in C++.
//
//     virtual_board DIVISOR [--listen HOST:PORT] [--pty]
//     virtual_board DIVISOR --stepped
//
// Prints "listen PORT" and "pty PATH", then runs until its standard input ends. SIGUSR1 resets the board. With --stepped
// the clock stands still but for what standard input asks for, see `stepped`.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "Vtop.h"
#include "verilated.h"

namespace {

constexpr int kClocksBetweenPolls = 2048;
constexpr int kQuietPolls = 400;   // polls without a byte after which the loop may sleep
constexpr int kSleepMilliseconds = 2;
constexpr size_t kQueueMost = 4096;
constexpr int kResetClocks = 16;

volatile sig_atomic_t reset_asked = 0;

[[noreturn]] void fail(const char* what) {
    std::fprintf(stderr, "%s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

int listening(const std::string& where) {
    const auto colon = where.rfind(':');
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(std::atoi(where.c_str() + colon + 1)));
    if (inet_pton(AF_INET, where.substr(0, colon).c_str(), &address.sin_addr) != 1) {
        errno = EINVAL;
        fail(where.c_str());
    }
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int yes = 1;
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(server, reinterpret_cast<sockaddr*>(&address), sizeof address) || listen(server, 1)) fail(where.c_str());
    socklen_t size = sizeof address;
    getsockname(server, reinterpret_cast<sockaddr*>(&address), &size);
    std::printf("listen %d\n", ntohs(address.sin_port));
    return server;
}

int terminal() {
    int ours = -1, theirs = -1;
    char name[256];
    if (openpty(&ours, &theirs, name, nullptr, nullptr)) fail("pty");
    termios settings{};
    tcgetattr(theirs, &settings);
    cfmakeraw(&settings);
    tcsetattr(theirs, TCSANOW, &settings);
    // `theirs` stays open: the terminal does not hang up between two users.
    fcntl(ours, F_SETFL, O_NONBLOCK);
    std::printf("pty %s\n", name);
    return ours;
}

// One end of the serial line, a clock at a time: 8 data bits, no parity, one stop bit.
struct Uart {
    int divisor;
    std::deque<uint8_t> to_board;
    std::vector<uint8_t> from_board;
    int out_clocks = 0, out_bits = 0, in_clocks = 0, in_bits = 0;
    uint32_t out_shift = 1, in_shift = 0;

    int drive() {
        if (out_clocks == 0) {
            if (out_bits == 0 && !to_board.empty()) {
                out_shift = (to_board.front() << 1) | 0x200;
                to_board.pop_front();
                out_bits = 10;
            }
            if (out_bits == 0) return 1;
            out_clocks = divisor;
        }
        const int level = out_shift & 1;
        if (--out_clocks == 0) {
            out_shift = (out_shift >> 1) | 0x200;
            --out_bits;
        }
        return level;
    }

    void sample(int level) {
        if (in_bits == 0) {
            if (level) return;
            in_bits = 10;
            in_clocks = divisor / 2;
        }
        if (in_clocks-- > 0) return;
        in_clocks = divisor - 1;
        in_shift = (in_shift >> 1) | (level << 9);
        if (--in_bits == 0 && level) from_board.push_back(static_cast<uint8_t>(in_shift >> 1));
    }
};

// The top level and the far end of its line.
struct Board {
    std::unique_ptr<VerilatedContext> context = std::make_unique<VerilatedContext>();
    std::unique_ptr<Vtop> top;
    Uart uart;
    int reset_clocks = kResetClocks;

    // Memories and registers start random; a seed of 0 is another one every time.
    Board(int divisor, int seed) : uart{divisor} {
        context->randReset(2);
        context->randSeed(seed);
        top = std::make_unique<Vtop>(context.get());
    }

    void clock() {
        top->rst = reset_clocks > 0;
        reset_clocks -= reset_clocks > 0;
        top->rx = uart.drive();
        top->clk = 0;
        top->eval();
        top->clk = 1;
        top->eval();
        uart.sample(top->tx);
    }
};

// Asked: most clocks, reset first (0 or 1), number of bytes to send, the bytes. Answered once a zero has come, which
// ends a frame, or the clocks have passed: how many did, the number of bytes that came, the bytes. All numbers 32 bits.
void stepped(Board& board) {
    uint32_t asked[3];
    while (std::fread(asked, sizeof asked, 1, stdin) == 1) {
        std::vector<uint8_t> bytes(asked[2]);
        if (!bytes.empty() && std::fread(bytes.data(), bytes.size(), 1, stdin) != 1) break;
        auto& came = board.uart.from_board;
        board.uart.to_board.insert(board.uart.to_board.end(), bytes.begin(), bytes.end());
        if (asked[1]) board.reset_clocks = kResetClocks;
        uint32_t clocks = 0;
        for (; clocks < asked[0] && (came.empty() || came.back() != 0); ++clocks) board.clock();
        const uint32_t head[] = {clocks, static_cast<uint32_t>(came.size())};
        std::fwrite(head, sizeof head, 1, stdout);
        std::fwrite(came.data(), 1, came.size(), stdout);
        std::fflush(stdout);
        came.clear();
    }
}

}  // namespace

int main(int argc, char** argv) {
    bool in_steps = false;
    for (int i = 2; i < argc; ++i) in_steps |= !std::strcmp(argv[i], "--stepped");
    Board board(std::atoi(argv[1]), in_steps ? 1 : 0);
    Uart& uart = board.uart;
    int server = -1, line = -1, tty = -1;
    for (int i = 2; i < argc; ++i) {
        if (!std::strcmp(argv[i], "--listen")) server = listening(argv[++i]);
        if (!std::strcmp(argv[i], "--pty")) tty = terminal();
    }
    std::printf("ready\n");
    std::fflush(stdout);
    if (in_steps) {
        stepped(board);
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, [](int) { reset_asked = 1; });
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);

    int quiet = 0;
    bool running = true;
    while (running) {
        if (reset_asked) {
            reset_asked = 0;
            board.reset_clocks = kResetClocks;
        }
        for (int clock = 0; clock < kClocksBetweenPolls; ++clock) board.clock();
        bool moved = !uart.from_board.empty() || !uart.to_board.empty();
        // A line with nobody on it loses what is sent, as a cable that is not plugged in does.
        for (int* end : {&line, &tty}) {
            if (*end < 0) continue;
            if (!uart.from_board.empty() && write(*end, uart.from_board.data(), uart.from_board.size()) < 0 &&
                errno != EAGAIN && end == &line) {
                close(line);
                line = -1;
                continue;
            }
            if (uart.to_board.size() >= kQueueMost) continue;
            uint8_t buffer[kQueueMost];
            const ssize_t count = read(*end, buffer, sizeof buffer);
            if (count > 0) {
                uart.to_board.insert(uart.to_board.end(), buffer, buffer + count);
                moved = true;
            } else if (end == &line && (count == 0 || errno != EAGAIN)) {
                close(line);
                line = -1;
            }
        }
        uart.from_board.clear();
        if (server >= 0 && line < 0) {
            line = accept4(server, nullptr, nullptr, SOCK_NONBLOCK);
            const int yes = 1;
            if (line >= 0) setsockopt(line, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        }
        char ignored[64];
        running = read(STDIN_FILENO, ignored, sizeof ignored) != 0;
        quiet = moved ? 0 : quiet + 1;
        if (quiet > kQuietPolls) {
            pollfd watched[] = {{line, POLLIN, 0}, {tty, POLLIN, 0}, {server, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
            poll(watched, 4, kSleepMilliseconds);
        }
    }
    board.top->final();
    return 0;
}
