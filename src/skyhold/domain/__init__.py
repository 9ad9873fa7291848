"""The rules of seats, holds, orders and payments: pure functions and frozen data, standard library only."""
